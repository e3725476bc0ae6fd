"""The peers: other projects' servers, each with the best settings known for it.

The settings are part of the report, so that readers can check and reuse them.
"""

import grp
import os
import pwd
import sys

from lib_compare import machine, scenarios, tls
from lib_compare.servers import Recipe

# The connections that a peer is configured for, and the size of its cache of open files.
CONNECTIONS = 16_384
OPEN_FILES = 12_000


def peers():
    """The recipes of the installed peers, and the names of the programs that are missing."""
    makers = {"nginx": nginx, "lighttpd": lighttpd, "h2o": h2o, "caddy": caddy}
    recipes, missing = [], []
    for name, make in makers.items():
        program = machine.find(name)
        if program is None:
            missing.append(name)
        else:
            recipes += make(program)
    return recipes, missing


def nginx(program):
    """nginx three times: best settings with sendfile, best settings with copies, and defaults."""
    version = machine.first_line([program, "-v"]).replace("nginx version: ", "")

    def command(place):
        return [program, "-p", place.home, "-e", f"{place.home}/error.log", "-c",
                f"{place.home}/nginx.conf"]

    def recipe(name, title, template, **more):
        def files(place):
            text = template.replace("ROOT", place.root).replace("PORT", place.port)
            text = text.replace("FEATURE", nginx_feature(place))
            secure = "ssl" if tls.is_secure(place.feature) else ""
            text = text.replace("SECURE", secure)
            return {"nginx.conf": text.replace("LIMIT", place.open_files)}

        secure = () if name == "nginx-default" else tuple(tls.KEYS)
        features = ("sidecars", "rules", "log", *secure)
        return Recipe(name, title, "peer", version, command, files, features=features, **more)

    best = NGINX_BEST.replace("USER", user_line())
    sendfile, copy = (best.replace("SENDING", text) for text in (NGINX_SENDFILE, NGINX_COPY))
    return [
        recipe("nginx", "nginx, sendfile on", sendfile),
        recipe("nginx-copy", "nginx, sendfile off", copy),
        recipe(
            "nginx-default",
            "nginx, default settings",
            NGINX_DEFAULT.replace("USER", user_line()),
            most_connections=1000,
        ),
    ]


def nginx_feature(place):
    """The lines that configure nginx for a scenario."""
    if place.feature == "sidecars":
        return "gzip_static on;"
    if place.feature == "log":
        return "access_log access.log combined buffer=64k flush=1s;"
    if tls.is_secure(place.feature):
        cert, key = tls.files(place)
        return (f"ssl_certificate {cert}; ssl_certificate_key {key}; ssl_buffer_size 16k; "
                "ssl_protocols TLSv1.2 TLSv1.3; ssl_session_tickets on;")
    if place.feature != "rules":
        return ""
    rule = "location = {} {{ add_header X-Rule {}; }}"
    return "\n".join(rule.format(*pair) for pair in scenarios.rules())


def user_line():
    """Keeps nginx running as root if this script does: its default user cannot read the folder."""
    if os.geteuid() != 0:
        return ""
    return f"user {pwd.getpwuid(0).pw_name} {grp.getgrgid(0).gr_name};"


NGINX_TEMP = """
    client_body_temp_path body_temp; proxy_temp_path proxy_temp; fastcgi_temp_path fastcgi_temp;
    uwsgi_temp_path uwsgi_temp; scgi_temp_path scgi_temp;
    types { text/html html; text/css css; application/octet-stream bin; }
"""

# tcp_nopush stays off: it helps below 10 KiB, where sendfile off is even better, and costs 50 %
# more from 100 KiB on.
NGINX_SENDFILE = "sendfile on;"
NGINX_COPY = "sendfile off; output_buffers 2 256k;"

# `deferred` saves a third of the cost of a connection with one request. Linux only.
DEFERRED = "deferred" if sys.platform == "linux" else ""

NGINX_BEST = f"""
USER
daemon off;
pid nginx.pid;
error_log error.log;
worker_processes 1;
worker_rlimit_nofile LIMIT;
events {{ worker_connections {CONNECTIONS}; multi_accept on; }}
http {{{NGINX_TEMP}
    access_log off;
    SENDING
    tcp_nodelay on;
    keepalive_timeout 3600s;
    keepalive_requests 1000000000;
    open_file_cache max={OPEN_FILES} inactive=3600s;
    open_file_cache_valid 60s;
    server {{ listen 127.0.0.1:PORT SECURE backlog=4096 {DEFERRED}; root ROOT; FEATURE }}
}}
"""

# The nginx.conf of the distributed package, with other paths and another port.
NGINX_DEFAULT = f"""
USER
daemon off;
pid nginx.pid;
worker_processes 1;
events {{ worker_connections 1024; }}
http {{{NGINX_TEMP}
    access_log access.log;
    sendfile on;
    keepalive_timeout 65;
    server {{ listen 127.0.0.1:PORT; root ROOT; FEATURE }}
}}
"""


def lighttpd(program):
    """lighttpd with raised limits."""
    def command(place):
        return [program, "-D", "-f", f"{place.home}/lighttpd.conf"]

    def files(place):
        return {
            "lighttpd.conf": f"""
server.document-root = "{place.root}"
server.bind = "127.0.0.1"
server.port = {place.port}
server.errorlog = "{place.home}/error.log"
server.network-backend = "sendfile"
server.stat-cache-engine = "simple"
server.listen-backlog = 4096
server.defer-accept = 1
server.max-fds = {place.open_files}
server.max-connections = {CONNECTIONS}
server.max-keep-alive-requests = 65535
server.max-keep-alive-idle = 3600
server.max-read-idle = 3600
mimetype.assign = ( ".html" => "text/html", ".bin" => "application/octet-stream" )
"""
        }

    version = machine.first_line([program, "-v"]).split(" - ")[0]
    return [Recipe("lighttpd", "lighttpd", "peer", version, command, files)]


def h2o(program):
    """H2O with one thread and raised limits."""
    def command(place):
        return [program, "-c", f"{place.home}/h2o.conf"]

    def files(place):
        user = f"user: {pwd.getpwuid(0).pw_name}\n" if os.geteuid() == 0 else ""
        sidecars = "file.send-compressed: ON" if place.feature == "sidecars" else ""
        secure = ""
        if tls.is_secure(place.feature):
            cert, key = tls.files(place)
            secure = f"ssl:\n    certificate-file: {cert}\n    key-file: {key}"
        return {
            "h2o.conf": f"""
{user}num-threads: 1
max-connections: {CONNECTIONS}
http1-request-timeout: 3600
error-log: {place.home}/error.log
listen:
  host: 127.0.0.1
  port: {place.port}
  {secure}
hosts:
  default:
    paths:
      "/":
        file.dir: "{place.root}"
        {sidecars}
"""
        }

    version = machine.first_line([program, "-v"])
    features = ("sidecars", *tls.KEYS)
    return [Recipe("h2o", "H2O", "peer", version, command, files, features=features)]


def caddy(program):
    """Caddy with one thread of Go code, because the other servers have one thread."""
    def command(place):
        return [program, "run", "--adapter", "caddyfile", "--config", f"{place.home}/Caddyfile"]

    def files(place):
        precompressed = "precompressed gzip" if place.feature == "sidecars" else ""
        scheme, secure = "http", ""
        if tls.is_secure(place.feature):
            scheme, secure = "https", "tls {} {}".format(*tls.files(place))
        rule = "    header {} X-Rule {}\n"
        fields = [rule.format(*pair) for pair in scenarios.rules() if place.feature == "rules"]
        return {
            "Caddyfile": f"""
{{
    admin off
    auto_https off
    default_sni localhost
}}
{scheme}://:{place.port} {{
    {secure}
    bind 127.0.0.1
    root * {place.root}
{"".join(fields)}    file_server {{
        {precompressed}
    }}
}}
"""
        }

    version = "Caddy " + machine.first_line([program, "version"])
    return [
        Recipe("caddy", "Caddy", "peer", version, command, files, {"GOMAXPROCS": "1"},
               features=("sidecars", "rules", *tls.KEYS)),
    ]
