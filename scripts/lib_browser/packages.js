// Installs the npm packages that package-lock.json pins.

import { spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

import { Unusable } from "./arguments.js";

const HERE = path.dirname(fileURLToPath(import.meta.url));
const INSTALL_MS = 180_000;

/** Installs the packages unless exactly those of the lock file are installed. */
export function install() {
    if (installed()) return;
    const npm = spawnSync("npm", ["ci", "--ignore-scripts"], {
        cwd: HERE,
        encoding: "utf8",
        timeout: INSTALL_MS,
    });
    if (npm.error || npm.status !== 0) {
        const why = npm.error?.message ?? npm.stderr.trim();
        throw new Unusable(`npm ci in scripts/lib_browser failed: ${why}`);
    }
}

function installed() {
    let found;
    try {
        found = read("node_modules/.package-lock.json");
    } catch {
        return false;
    }
    const wanted = Object.entries(read("package-lock.json")).filter(([name]) => name !== "");
    return wanted.every(([name, { integrity }]) => found[name]?.integrity === integrity);
}

function read(file) {
    return JSON.parse(fs.readFileSync(path.join(HERE, file), "utf8")).packages;
}
