"""The parts of `scripts/soak`.

    content    file contents that name their version in every line, so that mixed responses show
    answers    a strict parser of responses
    judge      checks a response against the versions of its file
    tree       the served folder, and the changes to its files
    client     one client: connects, sends requests, checks responses, counts
    kinds      the kinds of conversations, one function each
    load       the client processes, and the process that changes files
    watch      starts and stops the server, and reads its resources from /proc

`content`, `answers`, `judge` and the tables of `kinds` are tested in `scripts/tests`.
"""
