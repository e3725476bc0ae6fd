// Steps: walking, sorting, filtering, the README, the keyboard.

import { HOSTILE_FOLDER, README, SORTED } from "./content.js";
import { check, equal } from "./runner.js";

/** The texts of the links in the rows, without that to the parent folder. */
export const names = (page) =>
    page.locator("tbody:last-of-type tr:not([hidden]) th").allTextContents();

/** Clicks on a link and waits for the page that it opens. */
async function follow(page, link, url) {
    await link.click();
    await page.waitForURL(url);
}

async function walk(bench) {
    const page = await bench.page();
    const url = (target) => bench.url("files", target);
    const row = (name) => page.locator("tbody").getByRole("link", { name, exact: true });
    const crumb = (name) => page.locator("nav").getByRole("link", { name, exact: true });
    await page.goto(url("/"));
    equal(await page.title(), "Index of /", "the title of the root");
    await follow(page, row("walk/"), url("/walk/"));
    await follow(page, row("inner/"), url("/walk/inner/"));
    await follow(page, row("deepest/"), url("/walk/inner/deepest/"));
    equal(await page.locator("h1").textContent(), "Index of /walk/inner/deepest/", "the heading");
    equal(await names(page), ["end.txt"], "the rows");
    await follow(page, row("end.txt"), url("/walk/inner/deepest/end.txt"));
    equal(await page.locator("body").textContent(), "the end", "the file");
    await page.goBack();
    await follow(page, crumb("inner"), url("/walk/inner/"));
    await follow(page, row("Parent folder"), url("/walk/"));
    await follow(page, crumb("Root folder"), url("/"));
}

async function walkOdd(bench) {
    const page = await bench.page();
    await page.goto(bench.url("files", "/odd/"));
    const before = page.url();
    await page.locator("tbody:last-of-type a").click();
    await page.waitForURL((url) => url.href !== before);
    equal(await page.title(), `Index of /odd/${HOSTILE_FOLDER}/`, "the title");
    const here = page.locator("nav [aria-current=page]");
    equal(await here.textContent(), HOSTILE_FOLDER, "the last breadcrumb");
    await page.locator("tbody:last-of-type a").click();
    const text = page.getByText("inside of the odd folder", { exact: true });
    await text.waitFor();
    await page.goBack();
    await follow(page, page.locator("nav a").last(), before);
}

/** The names in the order of a column; the rows with equal keys do not matter here. */
function sorted(key, descending) {
    const files = [...SORTED.files];
    if (key !== "name") files.sort((one, two) => (one[key] < two[key] ? -1 : 1));
    const folders = SORTED.folders.map((name) => `${name}/`);
    const order = (list) => (descending ? [...list].reverse() : list);
    const names = files.map((file) => file.name);
    return [...(key === "name" ? order(folders) : folders), ...order(names)];
}

/** Clicks on the heads of the columns. */
async function sort(bench, options) {
    const page = await bench.page(options);
    await page.goto(bench.url("files", "/sorted/"));
    equal(await names(page), sorted("name", false), "at first");
    const clicks = [
        ["Name", "name", "descending"],
        ["Size", "size", "descending"],
        ["Size", "size", "ascending"],
        ["Modified", "time", "descending"],
        ["Modified", "time", "ascending"],
        ["Name", "name", "ascending"],
    ];
    for (const [text, key, order] of clicks) {
        const head = page.locator("thead th", { hasText: text });
        await head.getByRole("link").click();
        await page.locator(`thead th[aria-sort=${order}]`, { hasText: text }).waitFor();
        const found = await names(page);
        const expected = sorted(key, order === "descending");
        const files = (list) => list.filter((name) => !name.endsWith("/"));
        const isFirst = found.slice(0, 2).every((name) => name.endsWith("/"));
        check(isFirst, `folders are not first by ${key}: ${found}`);
        if (key === "name") equal(found, expected, `by name, ${order}`);
        equal(files(found), files(expected), `files by ${key}, ${order}`);
        equal(await page.locator("thead [aria-sort]").count(), 1, "columns with an order");
    }
}

async function filter(bench) {
    for (const width of [390, 1280]) await filterAt(bench, { width, height: 800 });
}

async function filterAt(bench, viewport) {
    const page = await bench.page({ viewport });
    await page.goto(bench.url("files", "/sorted/"));
    const rows = SORTED.files.length + SORTED.folders.length;
    const box = page.getByRole("searchbox", { name: "Filter" });
    const said = (text) => page.locator("output").filter({ hasText: text }).waitFor();
    await box.fill("CHAPTER");
    await said(`3 of ${rows}`);
    equal(await names(page), ["Chapter 1.txt", "chapter 2.txt", "chapter 10.txt"], "a word");
    await box.fill("txt 1 cha");
    await said(`2 of ${rows}`);
    equal(await names(page), ["Chapter 1.txt", "chapter 10.txt"], "words in any order");
    await box.press("Enter");
    equal(page.url(), bench.url("files", "/sorted/"), "the address after Enter");
    await box.fill("nothing like this");
    await said(`0 of ${rows}`);
    equal(await page.locator("tbody:last-of-type tr:visible").count(), 0, "rows that are shown");
    await box.fill("");
    await page.locator("output:empty").waitFor({ state: "attached" });
    equal((await names(page)).length, rows, "rows without a filter");
    check(await page.getByRole("link", { name: "Parent folder" }).isVisible(), "no parent folder");
}

async function withoutScript(bench) {
    const page = await bench.page({ javaScriptEnabled: false });
    await page.goto(bench.url("files", "/sorted/"));
    equal(await page.locator("form").isVisible(), false, "a filter that does nothing is shown");
    await sort(bench, { javaScriptEnabled: false });
}

async function readme(bench) {
    const page = await bench.page();
    await page.goto(bench.url("files", "/sorted/"));
    const section = page.getByRole("region", { name: "readme.txt" });
    equal(await section.locator("pre").textContent(), README, "the README");
    equal(await section.locator("b").count(), 0, "elements in the README");
}

/** Presses Tab through a listing. Each link and the filter must get the focus, and show it. */
async function keyboard(bench) {
    for (const [colorScheme, width] of [["light", 1280], ["dark", 1280], ["light", 390]]) {
        const page = await bench.page({ colorScheme, viewport: { width, height: 800 } });
        await page.goto(bench.url("files", "/sorted/"));
        await page.getByRole("searchbox").waitFor();
        const all = await page.locator("a, input").count();
        const seen = [];
        for (let presses = 0; presses < all; presses++) {
            await page.keyboard.press("Tab");
            seen.push(await page.evaluate(describeFocus));
        }
        // WCAG 2.2, 1.4.11: a contrast of 3 to 1.
        const unseen = seen.filter((focus) => focus.ring < 3);
        equal(unseen, [], `elements whose focus is not visible, ${colorScheme}, ${width}`);
        const order = seen.map(({ at }) => at);
        equal(order, [...order].sort((one, two) => one - two), "the order of the focus");
        equal(new Set(order).size, all, "elements that get the focus");
    }
    const page = await bench.page();
    await page.goto(bench.url("files", "/walk/"));
    await page.getByRole("link", { name: "inner/" }).focus();
    await page.keyboard.press("Enter");
    await page.waitForURL(bench.url("files", "/walk/inner/"));
}

/** A narrow screen shows the rows in another layout; to a screen reader they stay a table. */
async function table(bench) {
    for (const width of [390, 1280]) {
        const page = await bench.page({ viewport: { width, height: 800 } });
        await page.goto(bench.url("files", "/sorted/"));
        const session = await page.context().newCDPSession(page);
        const { nodes } = await session.send("Accessibility.getFullAXTree");
        const count = (role) => nodes.filter((node) => node.role?.value === role).length;
        const rows = SORTED.files.length + SORTED.folders.length + 1;
        const found = ["table", "row", "rowheader", "columnheader", "cell"].map(count);
        equal(found, [1, rows + 1, rows, 3, 2 * rows], `parts of the table at ${width}`);
    }
}

/** Runs in the browser: the focused element, and the contrast of its outline. */
function describeFocus() {
    const focused = document.activeElement;
    // The outline of a link that covers a whole row is that of its pseudo-element.
    const isDrawn = ({ outlineStyle, outlineWidth, content }, pseudo) =>
        outlineStyle !== "none" && parseFloat(outlineWidth) >= 2 && !(pseudo && content === "none");
    const [own, after] = [null, "::after"].map((pseudo) => getComputedStyle(focused, pseudo));
    const style = isDrawn(own) ? own : after;
    const luminance = (colour) => {
        const parts = colour.match(/[\d.]+/g).slice(0, 3).map((part) => {
            const value = part / 255;
            return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
    };
    const back = luminance(getComputedStyle(document.body).backgroundColor);
    const line = luminance(style.outlineColor);
    const contrast = (Math.max(back, line) + 0.05) / (Math.min(back, line) + 0.05);
    return {
        at: [...document.querySelectorAll("a, input")].indexOf(focused),
        text: focused.textContent,
        ring: isDrawn(style, style === after) ? contrast : 0,
    };
}

export const STEPS = [
    { name: "walks into folders and back by breadcrumbs", run: walk },
    { name: "walks into a folder with a hostile name", run: walkOdd },
    { name: "sorts by links", run: (bench) => sort(bench, {}) },
    { name: "sorts by links without JavaScript", run: withoutScript },
    { name: "filters under the Content-Security-Policy", run: filter },
    { name: "shows the README as plain text", run: readme },
    { name: "is a table for screen readers at two widths", run: table },
    { name: "shows the focus on every link by keyboard", run: keyboard },
];
