"""The parts of scripts/growth that it does not share with lib_compare. Standard library only.

Pure, and tested in scripts/tests:
    series      the table of series and their bounds
    fit         lines, steepness and crossings
    judge       turns the samples of a series into a verdict
    lines       line charts as SVG
    table, page the tables in the terminal, and the HTML page

With side effects:
    bench       the conditions of a run; starts servers and checks responses
    load        one run of wrk, and the CPU time of server and client
    probes      the series whose load is wrk
    drip        heads that arrive byte by byte
    listing     folders that are listed for the first time
    wakeups     wakeups of the event loop
    trace       counts system calls with strace, if it is installed
    rounds      the rounds
"""
