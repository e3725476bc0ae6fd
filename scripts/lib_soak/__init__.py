"""The parts of `scripts/soak`.

    files      the served folder: contents that name their version in every line, and the changes
    answers    checks of responses, also against the versions of a file
    client     one client: connects, sends requests, checks responses, counts
    kinds      the kinds of conversations, one function each
    load       the client processes, and the process that changes files

`files`, `answers` and the tables of `kinds` are tested in `scripts/tests`.
"""
