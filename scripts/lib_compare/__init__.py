"""The parts of scripts/compare. scripts/soak and scripts/instructions use `machine`, `servers` and
`http1` as well. Standard library only.

    scenarios  the table of scenarios, and the goals
    judge      turns samples into ratios, marks and verdicts
    charts     lines as SVG
    report     tables in the terminal and for the documents, and the HTML page
    machine    cores, limits, network namespaces, and what /proc tells about processes
    folder     the generated folder that every server serves
    servers, peers
               start, configure and stop the servers
    http1      requests and a strict reader of responses
    clients    wrk, h2load, curl, the load of TLS handshakes, and a pool of idle connections
    bench      the rounds, and one function per kind of scenario that takes a sample
    growth     the scenarios in which one quantity grows
"""
