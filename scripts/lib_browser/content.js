// The folders that are served, and the configuration.

import crypto from "node:crypto";
import fs from "node:fs";
import path from "node:path";

const bytes = (text, encoding = "utf8") => Buffer.from(text, encoding);
const SLASH = bytes("/");

/** The path of a name in a folder; names may be bytes that are not UTF-8. */
export function join(folder, name) {
    return Buffer.concat([Buffer.from(folder), SLASH, Buffer.from(name)]);
}

/** Replaces the characters that a listing shows as U+FFFD. */
const shown = (text) => text.replace(/[\n\t\x7f\u202e\u200b]/g, "\ufffd");

const hostile = (text) => ({ name: bytes(text), text: shown(text), content: `The file ${text}` });

/** File names that break pages that do not escape or encode them. */
export const HOSTILE = [
    ..."!$&'()*+,-:;=@[]^_`{|}~".split("").map((char) => hostile(`${char}a.txt`)),
    ...[
        "<script>alert(1)<script>.txt",
        "\"><img src=x onerror=alert(1)>.txt",
        "' onmouseover='alert(1)' x='.txt",
        "\"double\" 'single'.txt",
        "&amp;&lt;&#60;.txt",
        "<!--.txt",
        "]]>.txt",
        "#hash.txt",
        "?query=1&b=2.txt",
        "100%.txt",
        "%2e%2e.txt",
        "%41.txt",
        "A.txt",
        "a%00b.txt",
        "%.txt",
        "%zz.txt",
        "back\\slash.txt",
        "C:\\x.txt",
        "javascript:alert(1).txt",
        "http:example.org.txt",
        " leading space.txt",
        "two  spaces.txt",
        "space before the dot .txt",
        "tab\there.txt",
        "new\nline.txt",
        "delete\x7f.txt",
        "{{template}} ${x}.txt",
        "+plus+.txt",
        "grüße.txt",
        "gru\u0308ße.txt",
        "שלום עולם.txt",
        "مرحبا (1).txt",
        "abc\u202etxt.exe.txt",
        "zero\u200bwidth.txt",
        "👩‍👩‍👧 family.txt",
        "日本語のファイル名.txt",
        "x".repeat(251) + ".txt",
        "ä".repeat(125) + "x.txt",
        "%".repeat(251) + ".txt",
    ].map(hostile),
    { name: bytes("caf\xe9.txt", "latin1"), text: "caf\ufffd.txt", content: "not UTF-8: café" },
    {
        name: bytes("\xff\xfe\xfd.txt", "latin1"),
        text: "\ufffd\ufffd\ufffd.txt",
        content: "not UTF-8: three bytes",
    },
];

/** A name of a folder that breaks breadcrumbs that do not escape or encode it. */
export const HOSTILE_FOLDER = "<i>\"#?%41&amp;' שלום";

export const README = "Chapters of the <b>book</b>.\n\n    indented & \"quoted\"\n\ttab\n";

/** Names in the order of a listing. The sizes and times have other orders. */
export const SORTED = {
    folders: ["Folder 2", "folder 10"],
    files: [
        { name: "Chapter 1.txt", size: 3000, time: "2024-03-01T12:00:00Z" },
        { name: "chapter 2.txt", size: 100, time: "2025-01-05T12:00:00Z" },
        { name: "chapter 10.txt", size: 2_500_000, time: "2023-07-09T12:00:00Z" },
        { name: "index of names.pdf", size: 20, time: "2026-02-02T12:00:00Z" },
        { name: "map.png", size: 70_000, time: "2022-11-30T12:00:00Z" },
        { name: "notes.md", size: 500, time: "2021-05-17T12:00:00Z" },
        { name: "readme.txt", size: README.length, time: "2020-01-01T00:00:00Z" },
        { name: "Zebra.jpg", size: 5, time: "2019-01-01T00:00:00Z" },
    ],
};

/** A folder as people publish it, for the screenshots. */
const RELEASES = [
    ["tenkay-2.4.0-x86_64.tar.zst", 4_812_344, "2026-03-14T09:26:00Z"],
    ["tenkay-2.4.0-aarch64.tar.zst", 4_610_021, "2026-03-14T09:27:00Z"],
    ["tenkay-2.4.0.iso", 1_503_238_553, "2026-03-14T10:02:00Z"],
    ["tenkay_2.4.0-1_amd64.deb", 3_911_870, "2026-03-14T09:31:00Z"],
    ["SHA256SUMS", 412, "2026-03-14T10:05:00Z"],
    ["CHANGES.md", 18_204, "2026-03-13T17:40:00Z"],
    ["manual.pdf", 2_204_112, "2026-02-20T08:00:00Z"],
    ["manual.html", 310_400, "2026-02-20T08:00:00Z"],
    ["screenshot of the admin page, dark scheme.png", 188_344, "2026-02-21T19:12:00Z"],
    ["talk-2025-11-08.webm", 734_003_200, "2025-11-10T07:30:00Z"],
    ["interview.ogg", 28_311_552, "2025-12-01T12:00:00Z"],
    ["benchmarks.json", 96_512, "2026-03-12T21:55:00Z"],
    ["Ein sehr langer Dateiname mit vielen Wörtern, wie ihn Menschen wirklich vergeben (3).txt",
        1_024, "2025-06-30T23:59:00Z"],
];

const STYLE = ".probe { color: rgb(1, 2, 3) }\n" +
    "/* padding that compresses well */\n".repeat(99);

const page = (title, rest) => `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>${title}</title>
<link rel="stylesheet" href="/style.css">
<link rel="stylesheet" href="/style.5f0c2a9e.css">
<h1 class="probe">${title}</h1>
${rest}`;

/** Names and hashes of `htpasswd -nbB -C 4`; the password of bob is PASSWORD. */
const USERS = "bob:$2y$04$Z5l5hTg5a3kgR5LRjphxy.JzVyvDQ7UW5bY9pKwth714btNnqS4qK\n";
export const LOGIN = { username: "bob", password: "p:ss wörd" };

const CONFIG = `listen = ["127.0.0.1:0", "https://127.0.0.1:0"]

[tls]
self_signed = true

[[site]]
hosts = ["files.localhost"]
root = "files"
archives = ["tar", "zip"]

[[site.auth]]
for = "/private/*"
users = "users.txt"
realm = "browser test"

[[site.access]]
for = "/denied/*"
deny = ["127.0.0.0/8"]

[[site]]
hosts = ["pages.localhost"]
root = "pages"
rule_files = true
listing = false

[[site]]
hosts = ["app.localhost"]
root = "app"
spa = "/index.html"

[admin]
listen = "127.0.0.1:0"
hosts = ["admin.localhost"]
`;

/** A PNG of one pixel. Browsers ask for it and log its absence as an error. */
const ICON = Buffer.from(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJg" +
    "gg==",
    "base64",
);

/** Makes all folders in `home`, and returns the path of the configuration. */
export function make(home) {
    const config = path.join(home, "tenkay.toml");
    fs.writeFileSync(config, CONFIG);
    fs.writeFileSync(path.join(home, "users.txt"), USERS);
    makeFiles(path.join(home, "files"));
    makePages(path.join(home, "pages"));
    makeApp(path.join(home, "app"));
    for (const site of ["files", "pages", "app"]) {
        fs.writeFileSync(path.join(home, site, "favicon.ico"), ICON);
    }
    return config;
}

function makeFiles(root) {
    const put = (name, content) => {
        const file = path.join(root, name);
        fs.mkdirSync(path.dirname(file), { recursive: true });
        fs.writeFileSync(file, content);
    };
    put("walk/inner/deepest/end.txt", "the end");
    put("private/secret.txt", "a secret");
    put("denied/file.txt", "denied");
    put(`odd/${HOSTILE_FOLDER}/inside.txt`, "inside of the odd folder");
    fs.mkdirSync(path.join(root, "empty"));
    fs.mkdirSync(path.join(root, "hostile"));
    for (const { name, content } of HOSTILE) {
        fs.writeFileSync(join(path.join(root, "hostile"), name), content);
    }
    for (const { name, size, time } of SORTED.files) {
        put(`sorted/${name}`, name === "readme.txt" ? README : "");
        shape(path.join(root, "sorted", name), size, time);
    }
    for (const folder of SORTED.folders) fs.mkdirSync(path.join(root, "sorted", folder));
    put("releases/README.md", "# Releases of tenkay\n\nVerify what you download:\n\n" +
        "    sha256sum --check --ignore-missing SHA256SUMS\n\nOlder versions are in `archive/`.\n");
    for (const folder of ["archive", "nightly", "signatures"]) put(`releases/${folder}/.keep`, "");
    for (const [name, size, time] of RELEASES) {
        put(`releases/${name}`, "");
        shape(path.join(root, "releases", name), size, time);
    }
    // The archive has every hostile name, folders, an empty file and one of many blocks.
    put("bundle/empty.txt", "");
    put("bundle/random.bin", crypto.randomBytes(700_001));
    put("bundle/text.txt", "line\n".repeat(50_000));
    fs.mkdirSync(path.join(root, "bundle/empty folder"));
    fs.mkdirSync(path.join(root, "bundle/names"));
    for (const { name, content } of HOSTILE) {
        fs.writeFileSync(join(path.join(root, "bundle/names"), name), content);
    }
}

/** Sets size and time of a file. What it lacks to its size is a hole. */
function shape(file, size, time) {
    fs.truncateSync(file, size);
    fs.utimesSync(file, new Date(time), new Date(time));
}

function makePages(root) {
    fs.mkdirSync(path.join(root, "new"), { recursive: true });
    fs.mkdirSync(path.join(root, "unlisted"));
    const put = (name, text) => fs.writeFileSync(path.join(root, name), text);
    put("index.html", page("Start", "<a href='/old/page?x=1'>moved</a>"));
    put("new/page", "no page");
    put("new/page.html", page("Moved here", "<a href='/'>start</a>"));
    put("film.html", page("Film", "<video src='film.webm' preload='metadata' controls></video>"));
    put("style.css", STYLE);
    put("style.5f0c2a9e.css", STYLE.replace(".probe", ".hashed"));
    put("_redirects", "/old/* /new/:splat.html 301\n/short /new/page.html 302\n");
}

function makeApp(root) {
    fs.mkdirSync(root);
    const put = (name, text) => fs.writeFileSync(path.join(root, name), text);
    put("index.html", `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>App</title>
<main id="app"></main>
<script type="module" src="/app.js"></script>`);
    put("app.js", `const show = () => {
    document.querySelector("#app").textContent = "Route: " + location.pathname + location.search;
};
addEventListener("popstate", show);
show();
`);
}

/** Every path below a folder, in hexadecimal digits, with the SHA-256 of a file or null. */
export function tree(top, prefix = Buffer.alloc(0), found = {}) {
    for (const entry of fs.readdirSync(top, { withFileTypes: true, encoding: "buffer" })) {
        const [file, name] = [join(top, entry.name), Buffer.concat([prefix, entry.name])];
        if (entry.isDirectory()) {
            found[name.toString("hex")] = null;
            tree(file, Buffer.concat([name, SLASH]), found);
        } else {
            found[name.toString("hex")] = sha256(fs.readFileSync(file));
        }
    }
    return found;
}

export const sha256 = (data) => crypto.createHash("sha256").update(data).digest("hex");

/** Deletes a folder. Unlike `fs.rm` it deletes names that are not UTF-8. */
export function remove(top) {
    for (const entry of fs.readdirSync(top, { withFileTypes: true, encoding: "buffer" })) {
        const file = join(top, entry.name);
        if (entry.isDirectory()) remove(file);
        else fs.unlinkSync(file);
    }
    fs.rmdirSync(top);
}
