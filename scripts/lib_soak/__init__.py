"""The parts of `scripts/soak`.

    content    files that say in every line what they are, so that a mixed answer shows
    answers    answers out of a socket, strictly, and what is wrong with one
    tree       the folder that is served, and the changes to its files while it is served
    kinds      what clients do: one function for each kind of conversation
    load       processes full of clients
    watch      the server: its start, what the kernel says of it, its end

`content`, `answers` and the tables of `kinds` are pure; their tests are in `scripts/tests`.
"""
