// Steps: logins, access rules, error pages.

import { LOGIN } from "./content.js";
import { equal } from "./runner.js";
import { names } from "./steps_listings.js";

async function logIn(bench) {
    const url = bench.url("files", "/private/");
    for (const httpCredentials of [undefined, { ...LOGIN, password: "wrong" }]) {
        const page = await bench.page({ httpCredentials });
        if (!httpCredentials) await bench.dismissLogin(page);
        await bench.openError(page, url, 401);
        equal(await page.locator("h1").textContent(), "401 Unauthorized", "the heading");
    }
    const page = await bench.page({ httpCredentials: LOGIN });
    const response = await page.goto(url);
    equal(response.status(), 200, "the status after the login");
    equal(await names(page), ["secret.txt"], "the rows");
    await page.getByRole("link", { name: "secret.txt" }).click();
    await page.getByText("a secret", { exact: true }).waitFor();
    // What a login showed is not shown to others.
    const other = await bench.page();
    await bench.dismissLogin(other);
    await bench.openError(other, `${url}secret.txt`, 401);
}

async function refuse(bench) {
    const page = await bench.page();
    await bench.openError(page, bench.url("files", "/denied/"), 403);
    await bench.openError(page, bench.url("pages", "/unlisted/"), 403);
    await page.getByRole("link", { name: "Go to the parent folder" }).click();
    await page.waitForURL(bench.url("pages", "/"));
    await bench.openError(page, bench.url("files", "/walk/missing.txt"), 404);
    equal(await page.title(), "404 Not Found", "the title");
    await page.getByRole("link", { name: "Go to the folder" }).click();
    await page.waitForURL(bench.url("files", "/walk/"));
}

export const STEPS = [
    { name: "logs in with a password, and not without", run: logIn },
    { name: "shows error pages that lead back", run: refuse },
];
