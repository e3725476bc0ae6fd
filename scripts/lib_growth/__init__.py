"""The parts of scripts/growth, besides those of lib_compare that it shares. Standard library only.

Pure, and tested in scripts/tests:
    series      what is measured: the table of series, and what each must keep to
    fit         lines, steepness and crossings
    judge       a series' figures turned into a verdict
    lines       a line chart as SVG
    table, page the tables in the terminal, and the HTML page

With effects:
    bench       where and how to measure; a server for a series; right answers
    load        one run of wrk, and the CPU time of both ends
    probes      the series whose load is wrk
    drip        heads that arrive byte by byte
    listing     folders that are listed for the first time
    wakeups     how often the loop wakes
    trace       system calls counted by strace, where it is installed
    rounds      the rounds
"""
