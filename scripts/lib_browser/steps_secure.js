// Steps: HTTPS, with the self-signed certificate, and HTTP/2.

import { createHash } from "node:crypto";

import { check, equal } from "./runner.js";

const TRUSTING = { ignoreHTTPSErrors: true };

/** The protocols that the browser used for the page and for what it has loaded since. */
const protocols = (page) => page.evaluate(() => {
    const entries = ["navigation", "resource"].flatMap((kind) => performance.getEntriesByType(kind));
    return [...new Set(entries.map((entry) => entry.nextHopProtocol))];
});

async function visit(bench) {
    const page = await bench.page(TRUSTING);
    const response = await page.goto(`${bench.server.secureSite("files")}/hostile/`);
    equal(response.status(), 200, "status");
    equal((await response.securityDetails()).protocol, "TLS 1.3", "version of TLS");
    check(await page.evaluate(() => isSecureContext), "the page is a secure context");
    const links = page.locator("tbody:last-of-type a");
    await links.first().click();
    await page.waitForURL((url) => !url.href.endsWith("/hostile/"));
    await page.goBack();
    equal(await protocols(page), ["h2"], "protocols");
}

/** Many files at once, over one connection, by a page that compares them with plain HTTP. */
async function loadMany(bench) {
    // The policy of listings forbids their scripts to load anything.
    const options = { ...TRUSTING, bypassCSP: true };
    const [plain, page] = [await bench.page(options), await bench.page(options)];
    const load = async () => {
        const paths = Array.from(document.querySelectorAll("tbody:last-of-type a"), (it) => it.href);
        const texts = paths.flatMap((path) => Array.from({ length: 4 }, async (_, number) => {
            const response = await fetch(path, { cache: number < 2 ? "no-store" : "no-cache" });
            return `${response.status} ${await response.text()}`;
        }));
        return Promise.all(texts);
    };
    const sums = [];
    for (const [tab, site] of [[plain, "site"], [page, "secureSite"]]) {
        await tab.goto(`${bench.server[site]("files")}/hostile/`);
        const texts = await tab.evaluate(load);
        check(texts.every((text) => text.startsWith("200 ")), "all have status 200");
        sums.push(createHash("sha256").update(texts.join("\n")).digest("hex"));
    }
    equal(sums[1], sums[0], "the contents over HTTPS and over HTTP");
    equal(await protocols(page), ["h2"], "protocols");
}

/** Plain HTTP at the address of HTTPS is answered, in clear. */
async function forgetTheScheme(bench) {
    const page = await bench.page();
    const url = `${bench.server.secureSite("files").replace("https:", "http:")}/`;
    bench.allow("status of 400", `${url}favicon.ico`);
    await bench.openError(page, url, 400);
    check((await page.locator("main").textContent()).includes("use https://"), "the page says so");
}

export const STEPS = [
    { name: "visits a folder over HTTPS, by HTTP/2", run: visit },
    { name: "loads many files at once over HTTPS, by HTTP/2", run: loadMany },
    { name: "is told to use https:// at the address of HTTPS", run: forgetTheScheme },
];
