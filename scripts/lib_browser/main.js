// Prepares everything, runs the steps, and cleans up.

import fs from "node:fs";
import os from "node:os";
import path from "node:path";

import { HELP, Unusable, parse } from "./arguments.js";
import { install } from "./packages.js";
import { Server, build, find } from "./server.js";

/** The whole test ends after this time, whatever happens. */
const MOST_MS = 600_000;

/** Runs the test and returns the exit status. */
export async function main(words) {
    try {
        const options = parse(words);
        if (!options) {
            process.stdout.write(HELP);
            return 0;
        }
        options.chromium = find(options.chromium);
        options.tenkay = options.tenkay ? find(options.tenkay) : build();
        find("python3");
        install();
        return await inHome(options);
    } catch (error) {
        console.error(`browser-test: ${error instanceof Unusable ? error.message : error.stack}`);
        return 2;
    }
}

/** Runs the test in a temporary folder, which is deleted at the end. */
async function inHome(options) {
    const content = await import("./content.js");
    const home = fs.mkdtempSync(path.join(os.tmpdir(), "tenkay-browser-"));
    // What the browser and Playwright write goes there, too.
    Object.assign(process.env, { TMPDIR: path.join(home, "tmp"), HOME: path.join(home, "tmp") });
    const running = { server: null, browser: null, bench: null };
    const end = async () => {
        await running.browser?.close();
        const fault = await running.server?.stop();
        content.remove(home);
        return fault;
    };
    const stop = async (why) => {
        console.error(`browser-test: stopped: ${why}`);
        if (running.bench) running.bench.isStopped = true;
        await end().catch(() => {});
        process.exit(1);
    };
    const timer = setTimeout(stop, MOST_MS, `not done in ${MOST_MS / 1000} s`);
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.once(signal, () => stop(signal));
    let status;
    try {
        fs.chmodSync(home, 0o755);
        fs.mkdirSync(process.env.TMPDIR);
        status = await test(options, home, running, content);
    } finally {
        clearTimeout(timer);
        const fault = await end();
        if (fault) {
            console.error(`browser-test: ${fault}`);
            status ||= 1;
        }
    }
    return status;
}

async function test(options, home, running, content) {
    const { chromium } = (await import("playwright-core")).default;
    const { Bench, runAll } = await import("./runner.js");
    const { STEPS } = await import("./steps.js");
    const script = new URL("node_modules/axe-core/axe.min.js", import.meta.url);
    const axe = fs.readFileSync(script, "utf8");

    const steps = STEPS.filter(({ name }) => name.includes(options.only));
    if (steps.length === 0) throw new Unusable(`no step has '${options.only}' in its name`);
    const start = performance.now();
    const config = content.make(home);
    running.server = await Server.start(options.tenkay, config);
    running.browser = await chromium.launch({
        executablePath: options.chromium,
        args: ["--host-resolver-rules=MAP *.localhost 127.0.0.1", "--no-proxy-server"],
        handleSIGINT: false,
        handleSIGTERM: false,
        handleSIGHUP: false,
    });
    const { screenshots } = options;
    const { server, browser } = running;
    const bench = new Bench({ server, browser, home, screenshots, axe });
    running.bench = bench;
    const failed = await runAll(bench, steps);
    if (bench.isStopped) return 1;
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    console.log(
        `browser-test: ${steps.length - failed} of ${steps.length} steps passed in ${seconds} s ` +
        `with Chromium ${browser.version()}; ${bench.shots} screenshots in ${screenshots}`,
    );
    return failed === 0 ? 0 : 1;
}
