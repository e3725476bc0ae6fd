"""The parts of scripts/compare; scripts/soak uses `machine` and `servers`. Standard library only.

    scenarios  the table of scenarios, and the goals
    judge      turns samples into ratios, marks and verdicts
    charts     bars and lines as SVG
    report     tables in the terminal and for the documents, and the HTML page
    machine    cores, limits, network namespaces, and what /proc tells about processes
    folder     the generated folder that every server serves
    servers, peers
               start, configure and stop the servers
    clients    wrk, h2load, curl, the load of TLS handshakes, and a pool of idle connections
    bench      the rounds, and one function per kind of scenario that takes a sample
    growth     the scenarios in which one quantity grows
"""
