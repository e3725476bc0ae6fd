"""The peers: other projects' servers, each with the best settings known for it.

The settings are part of the report, so that readers can check and reuse them.
"""

import grp
import os
import pwd

from lib_compare import machine
from lib_compare.servers import FEATURES, Recipe

# The connections that a peer is configured for, and the size of its cache of open files.
CONNECTIONS, OPEN_FILES = 16_384, 12_000


def peers():
    """The recipes of the installed peers, and the names of the programs that are missing."""
    makers = {"nginx": nginx, "lighttpd": lighttpd, "h2o": h2o, "caddy": caddy}
    found = {name: machine.find(name) for name in makers}
    recipes = [recipe for name, path in found.items() if path for recipe in makers[name](path)]
    return recipes, [name for name, path in found.items() if not path]


def nginx(program):
    """nginx twice: with sendfile, and with copies.

    tcp_nopush stays off: it helps below 10 KiB, where sendfile off is even better, and costs 50 %
    more from 100 KiB on. `deferred` saves a third of the cost of a connection with one request.
    """
    version = machine.first_line(program, "-v").replace("nginx version: ", "")

    def command(place):
        return [program, "-p", place.home, "-e", f"{place.home}/error.log", "-c",
                f"{place.home}/nginx.conf"]

    def recipe(name, title, sending):
        def files(place):
            lines, listen = nginx_feature(place)
            workers = "1" if place.workers == 1 else f"{place.workers}; worker_cpu_affinity auto"
            return {"nginx.conf": f"""
{root_user("user {user} {group};")}
daemon off;
pid nginx.pid;
error_log error.log;
worker_processes {workers};
worker_rlimit_nofile {machine.raise_open_files()};
events {{ worker_connections {CONNECTIONS}; multi_accept on; }}
http {{
    client_body_temp_path body_temp; proxy_temp_path proxy_temp; fastcgi_temp_path fastcgi_temp;
    uwsgi_temp_path uwsgi_temp; scgi_temp_path scgi_temp;
    types {{ text/html html; text/css css; application/octet-stream bin; }}
    access_log off;
    {sending}
    tcp_nodelay on;
    keepalive_timeout 3600s;
    keepalive_requests 1000000000;
    open_file_cache max={OPEN_FILES} inactive=3600s;
    open_file_cache_valid 60s;
    server {{
        listen 127.0.0.1:{place.port} backlog=4096 deferred {listen};
        root {place.root};
        {lines}
    }}
}}
"""}

        return Recipe(name, title, "peer", version, command, files)

    copy = "sendfile off; output_buffers 2 256k;"
    return [recipe("nginx", "nginx, sendfile on", "sendfile on;"),
            recipe("nginx-copy", "nginx, sendfile off", copy)]


def nginx_feature(place):
    """The lines that configure nginx for a scenario, and options of its listener."""
    lines, listen, certificate = [], [], place.certificate()
    if "sidecars" in place.needs:
        lines.append("gzip_static on;")
    if "log" in place.needs:
        lines.append("access_log access.log combined buffer=64k flush=1s;")
    if certificate:
        listen += ["ssl", "http2"]
        lines.append("ssl_certificate {}; ssl_certificate_key {};".format(*certificate))
        lines.append("ssl_buffer_size 16k; ssl_protocols TLSv1.2 TLSv1.3; ssl_session_tickets on;")
    if "h2c" in place.needs:
        listen.append("http2")
    if place.workers > 1:
        listen.append("reuseport")
    rule = "location = {} {{ add_header X-Rule {}; }}"
    lines += [rule.format(*pair) for pair in place.rules()]
    return "\n        ".join(lines), " ".join(listen)


def root_user(setting):
    """The setting that keeps a server running as root if this script does: its default user cannot
    read the folder."""
    if os.geteuid() != 0:
        return ""
    return setting.format(user=pwd.getpwuid(0).pw_name, group=grp.getgrgid(0).gr_name)


def lighttpd(program):
    """lighttpd with raised limits."""
    def command(place):
        return [program, "-D", "-f", f"{place.home}/lighttpd.conf"]

    def files(place):
        return {"lighttpd.conf": f"""
server.document-root = "{place.root}"
server.bind = "127.0.0.1"
server.port = {place.port}
server.errorlog = "{place.home}/error.log"
server.network-backend = "sendfile"
server.stat-cache-engine = "simple"
server.listen-backlog = 4096
server.defer-accept = 1
server.max-fds = {machine.raise_open_files()}
server.max-connections = {CONNECTIONS}
server.max-keep-alive-requests = 65535
server.max-keep-alive-idle = 3600
server.max-read-idle = 3600
mimetype.assign = ( ".html" => "text/html", ".bin" => "application/octet-stream" )
"""}

    version = machine.first_line(program, "-v").split(" - ")[0]
    return [Recipe("lighttpd", "lighttpd", "peer", version, command, files, features=frozenset())]


def h2o(program):
    """H2O with one thread for each worker and raised limits. Its access log has no buffer."""
    def command(place):
        return [program, "-c", f"{place.home}/h2o.conf"]

    def files(place):
        certificate, lines = place.certificate(), []
        secure = ("ssl:\n    certificate-file: {}\n    key-file: {}".format(*certificate)
                  if certificate else "")
        if "sidecars" in place.needs:
            lines.append("file.send-compressed: ON")
        if "log" in place.needs:
            lines.append(f"access-log: {place.home}/access.log")
        return {"h2o.conf": f"""
{root_user("user: {user}")}
num-threads: {place.workers}
max-connections: {CONNECTIONS}
http1-request-timeout: 3600
http2-idle-timeout: 3600
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
        {(chr(10) + " " * 8).join(lines)}
"""}

    features = FEATURES - {"rules"}
    return [Recipe("h2o", "H2O", "peer", machine.first_line(program, "-v"), command, files,
                   features=features)]


def caddy(program):
    """Caddy with one thread of Go code for each worker, because the other servers have as many."""
    def command(place):
        return ["env", f"GOMAXPROCS={place.workers}", program, "run", "--adapter", "caddyfile",
                "--config", f"{place.home}/Caddyfile"]

    def files(place):
        certificate = place.certificate()
        lines = ["tls {} {}".format(*certificate)] if certificate else []
        if "log" in place.needs:
            lines.append(f"log {{\n        output file {place.home}/access.log\n    }}")
        lines += ["header {} X-Rule {}".format(*pair) for pair in place.rules()]
        precompressed = "precompressed gzip" if "sidecars" in place.needs else ""
        return {"Caddyfile": f"""
{{
    admin off
    auto_https off
    default_sni localhost
    servers {{
        protocols h1 h2 h2c
    }}
}}
{place.scheme}://:{place.port} {{
    bind 127.0.0.1
    root * {place.root}
    {(chr(10) + "    ").join(lines)}
    file_server {{
        {precompressed}
    }}
}}
"""}

    version = "Caddy " + machine.first_line(program, "version")
    return [Recipe("caddy", "Caddy", "peer", version, command, files)]
