// The command line.

import path from "node:path";
import { fileURLToPath } from "node:url";

export const REPOSITORY = path.resolve(path.dirname(fileURLToPath(import.meta.url)), "../..");

/** Where cargo puts what it builds. */
export const TARGET = path.resolve(REPOSITORY, process.env.CARGO_TARGET_DIR || "target");

export const HELP = `\
usage: browser-test [-h] [--tenkay PROGRAM] [--chromium PROGRAM] [--screenshots FOLDER]
                    [--only WORD]

Tests tenkay with Chromium: listings, files with hostile names, logins, redirects, caching, ranges,
archives, HTTPS, keyboard and accessibility (axe-core), with and without JavaScript. Any error in
the console of the browser, and any request to another server, is a failure.

The server, its files and the profile of the browser are in a temporary folder; the server listens
on a free port of 127.0.0.1. Missing npm packages are installed in scripts/lib_browser, as pinned in
package-lock.json. Needs Linux, node 18, npm, chromium and python3.

options:
  -h, --help            print this help
  --tenkay PROGRAM      test this program (default: build it with cargo, in debug mode)
  --chromium PROGRAM    browser (default: chromium)
  --screenshots FOLDER  folder for the screenshots (default: target/browser-test)
  --only WORD           run only the steps with this word in their names

Exit status: 0 = all steps passed; 1 = a step failed; 2 = the test could not run.
`;

const OPTIONS = {
    "--tenkay": "tenkay",
    "--chromium": "chromium",
    "--screenshots": "screenshots",
    "--only": "only",
};

/** An argument is wrong, or something that the test needs is missing. */
export class Unusable extends Error {}

/** The options as an object; `null` for --help. */
export function parse(words) {
    const options = {
        tenkay: null,
        chromium: "chromium",
        screenshots: path.join(TARGET, "browser-test"),
        only: "",
    };
    for (let at = 0; at < words.length; at++) {
        const [flag, ...rest] = words[at].split("=");
        if (flag === "-h" || flag === "--help") return null;
        const name = OPTIONS[flag];
        if (!name) throw new Unusable(`unknown argument '${words[at]}' (see --help)`);
        const value = rest.length ? rest.join("=") : words[++at];
        if (!value) throw new Unusable(`${flag} needs a value (see --help)`);
        options[name] = value;
    }
    return options;
}
