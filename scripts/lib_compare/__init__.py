"""The parts of scripts/compare and scripts/c10k. Standard library only.

Pure, and tested in scripts/tests:
    stats       medians, spreads, percentiles, comparisons
    http1       request bytes, and the parser of response heads
    wrk         wrk's scripts, its command line, and the parser of its output
    metrics     the measured quantities and their number formats
    scenarios   the table of scenarios
    verdicts    turns the samples of a scenario into ratios and marks
    text        the tables in the terminal
    svg, report the HTML report

With side effects:
    procfs      CPU time and memory of a server and all its child processes
    machine     cores, limits, versions, installed tools
    console     progress lines on standard error
    network     the loopback network and its congestion control
    folder      the generated folder that every server serves
    servers     starts, configures and stops the servers
    clients     an open-loop load, and a pool of idle connections
    checks      checks each server's responses before it is timed
    bench       the rounds
"""
