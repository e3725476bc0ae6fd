// Runs the steps, watches the pages, and reports.

import fs from "node:fs";
import path from "node:path";

const STEP_MS = 120_000;
const ACTION_MS = 30_000;

/** A check failed; the text says what was expected. */
class Failed extends Error {}

/** Fails unless `condition` holds. */
export function check(condition, what) {
    if (!condition) throw new Failed(what);
}

/** Fails unless both are equal, compared as JSON. */
export function equal(found, expected, what) {
    const [one, two] = [found, expected].map((value) => JSON.stringify(value));
    check(one === two, `${what}: found ${one}, expected ${two}`);
}

/** Opens pages for the steps and collects what goes wrong in them. */
export class Bench {
    constructor({ browser, server, home, screenshots, axe }) {
        Object.assign(this, { browser, server, home, screenshots, axe });
        this.shots = 0;
        this.isStopped = false;
        this.#reset();
    }

    #reset() {
        this.contexts = [];
        this.problems = [];
        this.allowed = [];
    }

    /** A page in a browser context of its own, with Playwright's options of a context. */
    async page(options = {}) {
        const context = await this.browser.newContext({
            viewport: { width: 1280, height: 800 },
            colorScheme: "light",
            locale: "en-US",
            ...options,
        });
        this.contexts.push(context);
        context.setDefaultTimeout(ACTION_MS);
        const page = await context.newPage();
        this.#watch(page);
        return page;
    }

    /** The address of a path of a site. */
    url(site, target) {
        return this.server.site(site) + target;
    }

    /** Lets the browser log an error with this text for this address, such as that of a 404. */
    allow(text, url) {
        this.allowed.push({ text, url });
    }

    /** Opens an address that answers with this error, which the browser logs. */
    async openError(page, url, status) {
        this.allow(`status of ${status}`, url);
        const response = await page.goto(url);
        equal(response.status(), status, url);
    }

    /** Answers the browser's question for a password as a user who closes the dialog. */
    async dismissLogin(page) {
        const session = await page.context().newCDPSession(page);
        const answer = (method, parameters) => session.send(method, parameters).catch(() => {});
        session.on("Fetch.requestPaused", ({ requestId }) => {
            answer("Fetch.continueRequest", { requestId });
        });
        session.on("Fetch.authRequired", ({ requestId }) => {
            const authChallengeResponse = { response: "CancelAuth" };
            answer("Fetch.continueWithAuth", { requestId, authChallengeResponse });
        });
        await session.send("Fetch.enable", { handleAuthRequests: true });
    }

    #watch(page) {
        const problem = (text) => this.problems.push(text);
        page.on("console", (message) => {
            if (!["error", "warning"].includes(message.type())) return;
            const { url } = message.location();
            const isAllowed = this.allowed.some(
                (one) => message.text().includes(one.text) && one.url === url,
            );
            if (!isAllowed) problem(`console ${message.type()}: ${message.text()} (${url})`);
        });
        page.on("pageerror", (error) => problem(`error in the page: ${error.message}`));
        page.on("crash", () => problem("the page crashed"));
        page.on("dialog", (dialog) => {
            problem(`a script ran: ${dialog.type()} ${dialog.message()}`);
            dialog.dismiss().catch(() => {});
        });
        page.on("request", (request) => {
            const { protocol, host } = new URL(request.url());
            const { port, tlsPort, admin } = this.server;
            const isSite = [port, tlsPort].some((it) => host.endsWith(`.localhost:${it}`));
            const own = isSite || host === new URL(admin).host;
            if (!own && !["data:", "blob:"].includes(protocol)) {
                problem(`a request to another server: ${request.url()}`);
            }
        });
    }

    /** Saves a picture of the whole page. */
    async shoot(page, name) {
        await page.screenshot({ path: path.join(this.screenshots, `${name}.png`), fullPage: true });
        this.shots += 1;
    }

    /** Runs one step and returns its failures. */
    async run(step) {
        this.#reset();
        let timer;
        const late = new Promise((_, fail) => {
            timer = setTimeout(fail, STEP_MS, new Failed(`not done in ${STEP_MS / 1000} s`));
        });
        const failures = [];
        try {
            await Promise.race([step.run(this), late]);
        } catch (error) {
            failures.push(error instanceof Failed ? error.message : describe(error));
            await this.#shootFailure(step.name);
        } finally {
            clearTimeout(timer);
        }
        failures.push(...new Set(this.problems));
        for (const context of this.contexts) await context.close();
        return failures;
    }

    async #shootFailure(name) {
        const page = this.contexts.at(-1)?.pages().at(-1);
        try {
            if (page) await this.shoot(page, `failed-${name.replace(/\W+/g, "-")}`);
        } catch {
            // The failure itself is reported.
        }
    }
}

/** An error of the browser or of the test itself, with its place in a step. */
function describe(error) {
    const lines = (error.stack ?? String(error)).replace(/\x1b\[\d+m/g, "").split("\n");
    const isNoise = (line) => /^ *$|^Browser logs:|^<launch|^\[pid=/.test(line);
    const isElsewhere = (line) => /^ +at /.test(line) && !line.includes("steps_");
    const isOfInterest = (line) => !isNoise(line) && !isElsewhere(line);
    return lines.filter(isOfInterest).join("\n");
}

/** Runs all steps, prints a line for each, and returns the number of those that failed. */
export async function runAll(bench, steps) {
    fs.mkdirSync(bench.screenshots, { recursive: true });
    for (const name of fs.readdirSync(bench.screenshots)) {
        if (/^failed-.*\.png$/.test(name)) fs.unlinkSync(path.join(bench.screenshots, name));
    }
    let failed = 0;
    for (const step of steps) {
        const start = performance.now();
        const failures = await bench.run(step);
        if (bench.isStopped) break;
        const seconds = ((performance.now() - start) / 1000).toFixed(1);
        console.log(`${failures.length ? "FAIL" : "ok  "}  ${step.name} (${seconds} s)`);
        for (const failure of failures) console.log(`      ${failure.replace(/\n/g, "\n      ")}`);
        failed += failures.length > 0;
    }
    return failed;
}
