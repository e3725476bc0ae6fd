// Steps: the live page of the admin listener.

import { check, equal } from "./runner.js";
import { SCHEMES, WIDTHS, audit, overflow } from "./steps_looks.js";

/** Waits until the page has shown a rate, for which it needs two answers. */
const moving = (page) => page.waitForFunction(() => {
    const line = document.querySelector("#requests-chart path:last-child").getAttribute("d");
    return /^M.*L/.test(line ?? "");
});

const total = async (page) => Number.parseFloat(await page.locator("#requests-total").textContent());

async function move(bench) {
    const page = await bench.page();
    const policy = (await page.goto(`${bench.server.admin}/`)).headers()["content-security-policy"];
    check(policy.startsWith("default-src 'none'"), "the page may load nothing else");
    await moving(page);
    check((await page.locator("#status").textContent()).startsWith("Ready, 1 worker"), "ready");
    const before = await total(page);
    const visitor = await bench.page();
    await visitor.goto(bench.url("files", "/releases/"));
    await page.waitForFunction((value) => {
        return Number.parseFloat(document.querySelector("#requests-total").textContent) > value;
    }, before);
    equal(await page.locator("#states tbody tr").count(), 5, "states of connections");
    check(await page.locator("#codes tbody tr").count() > 0, "a row for status 200");
}

async function look(bench) {
    for (const width of WIDTHS) {
        for (const colorScheme of SCHEMES) {
            const page = await bench.page({ viewport: { width, height: 800 }, colorScheme });
            await page.goto(`${bench.server.admin}/`);
            await moving(page);
            const name = `live-${width}-${colorScheme}`;
            await bench.shoot(page, name);
            equal(await overflow(page), 0, `pixels by which ${name} is too wide`);
            equal(await audit(bench, page), [], `findings of axe-core in ${name}`);
            await page.setViewportSize({ width: 320, height: 800 });
            equal(await overflow(page), 0, `pixels by which ${name} is too wide at 320`);
        }
    }
}

export const STEPS = [
    { name: "shows the requests of others as they come", run: move },
    { name: "passes axe-core at two widths and in two schemes: the live page", run: look },
];
