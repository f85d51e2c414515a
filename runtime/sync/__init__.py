"""Models reach a device in the field: signed, tried on the machine itself, and put back if bad.

`synchronise` is the story. `locations` says where the repository lies and `line` reads from there;
`trust` believes only what is signed (The Update Framework), beginning with `roots`; `rollout` picks
the release that is meant for this device; `install` has `download` bring the files that are new and
`trial` run the model aside, and swaps it in among the `installed`, beside this folder. `heartbeat`
tells the fleet's keeper.
"""
