"""Models reach a device in the field: signed, tried on the machine itself, and put back if bad.

One way through: `locations` says where the repository lies, `line` reads from there, `trust`
believes only what is signed (The Update Framework), `rollout` picks the release that is meant for
this device, `download` brings the files that are new, `trial` runs the model aside, and
`installed`, beside this folder, swaps it in. `synchronise` is the story; `heartbeat` tells the
fleet's keeper.
"""
