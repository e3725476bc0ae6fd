// Steps: accessibility at two widths and in two colour schemes, with screenshots.

import { HOSTILE_FOLDER, LOGIN } from "./content.js";
import { equal } from "./runner.js";

export const WIDTHS = [390, 1280];
export const SCHEMES = ["light", "dark"];

/** What is looked at: the name of the screenshot, the site, the path and the status. */
const VIEWS = [
    { name: "listing", target: "/releases/" },
    { name: "listing-sorted", target: "/sorted/?sort=size&order=desc" },
    { name: "listing-hostile", target: "/hostile/" },
    { name: "listing-odd-path", target: `/odd/${encodeURIComponent(HOSTILE_FOLDER)}/` },
    { name: "listing-empty", target: "/empty/" },
    { name: "listing-private", target: "/private/", httpCredentials: LOGIN },
    { name: "error-401", target: "/private/", status: 401 },
    { name: "error-403", target: "/denied/", status: 403 },
    { name: "error-404", target: "/walk/missing.txt", status: 404 },
];

async function look(bench, view) {
    for (const width of WIDTHS) {
        for (const colorScheme of SCHEMES) {
            const { httpCredentials } = view;
            const viewport = { width, height: 800 };
            const page = await bench.page({ viewport, colorScheme, httpCredentials });
            const url = bench.url("files", view.target);
            if (view.status === 401) await bench.dismissLogin(page);
            if (view.status) await bench.openError(page, url, view.status);
            else await page.goto(url);
            const name = `${view.name}-${width}-${colorScheme}`;
            await bench.shoot(page, name);
            equal(await overflow(page), 0, `pixels by which ${name} is too wide`);
            equal(await audit(bench, page), [], `findings of axe-core in ${name}`);
            await page.setViewportSize({ width: 320, height: 800 });
            equal(await overflow(page), 0, `pixels by which ${name} is too wide at 320`);
        }
    }
}

export const overflow = (page) => page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    return scrollWidth - clientWidth;
});

/** Runs all rules of axe-core, and returns what it finds. */
export async function audit(bench, page) {
    await page.evaluate(bench.axe);
    const found = await page.evaluate(() => {
        const rules = { "target-size": { enabled: true } };
        return globalThis.axe.run(document, { rules, resultTypes: ["violations"] });
    });
    return found.violations.map(({ id, impact, help, nodes }) => ({
        id,
        impact,
        help,
        places: nodes.slice(0, 3).map((node) => node.target.join(" ")),
    }));
}

export const STEPS = VIEWS.map((view) => ({
    name: `passes axe-core at two widths and in two schemes: ${view.name}`,
    run: (bench) => look(bench, view),
}));
