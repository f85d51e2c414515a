"""A report for people: a table, a page with plots, a picture; and CSV for spreadsheets."""
