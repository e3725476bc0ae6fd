"""The parts of scripts/compare and scripts/c10k. Standard library only.

Pure, and tested in scripts/tests:
    stats       medians, spreads, percentiles, who won
    http1       a request as bytes, a reply's head as facts
    wrk         wrk's scripts, its command line, and what it printed
    metrics     the quantities that are measured, and how each is written
    scenarios   what is measured: the table of loads
    verdicts    a scenario's figures turned into ratios and marks
    text        the tables in the terminal
    svg, report the HTML report

With effects:
    procfs      CPU time and memory of a server and all its children
    machine     cores, limits, versions, which tools are installed
    console     lines for the person who waits
    network     the loopback, with the machine's congestion control or another
    folder      the generated folder that every server serves
    servers     start, settings and end of each server
    clients     an open-loop load, and a herd of idle connections
    checks      does every server give the right answer before it is timed?
    bench       the rounds
"""
