// Steps: redirects, an application, compression and caching, a film.

import path from "node:path";

import { check, equal } from "./runner.js";
import * as video from "./video.js";

async function redirect(bench) {
    const page = await bench.page();
    const target = bench.url("pages", "/new/page.html");
    await page.goto(bench.url("pages", "/"));
    await page.getByRole("link", { name: "moved" }).click();
    await page.waitForURL(`${target}?x=1`);
    equal(await page.locator("h1").textContent(), "Moved here", "the heading");
    const response = await page.goto(bench.url("pages", "/short"));
    const first = await response.request().redirectedFrom().response();
    equal(first.status(), 302, "the status of the redirect");
    equal(page.url(), target, "the address after the redirect");
}

async function deepLink(bench) {
    const page = await bench.page();
    const target = bench.url("app", "/users/42/settings?tab=1");
    const route = page.getByText("Route: /users/42/settings?tab=1", { exact: true });
    const response = await page.goto(target);
    equal(response.status(), 200, "the status of a deep link");
    await route.waitFor();
    await page.evaluate(() => history.pushState({}, "", "/other"));
    await page.reload();
    await page.getByText("Route: /other", { exact: true }).waitFor();
    await page.goBack();
    await route.waitFor();
    // A missing script stays a 404.
    const missing = bench.url("app", "/missing.js");
    bench.allow("status of 404", missing);
    equal(await page.evaluate(async (url) => (await fetch(url)).status, missing), 404, missing);
}

/** The style sheets arrive compressed, and come from the cache in a second load. */
async function cachedStyle(bench) {
    const page = await bench.page();
    const start = bench.url("pages", "/");
    await page.goto(start);
    // The server compresses between requests; the first ones get the file as it is.
    const codings = await page.evaluate(compressed, ["/style.css", "/style.5f0c2a9e.css"]);
    check(codings.every((coding) => /^(zstd|br|gzip)$/.test(coding)), `codings: ${codings}`);

    const fresh = await bench.page();
    const session = await fresh.context().newCDPSession(fresh);
    const answers = await record(session);
    await fresh.goto(start);
    const first = await answers("/style.css");
    equal([first.status, first.fromCache], [200, false], "the first load");
    check(/^(zstd|br|gzip)$/.test(first.coding), `content-encoding: ${first.coding}`);
    const colour = await fresh.locator(".probe").evaluate((text) => getComputedStyle(text).color);
    equal(colour, "rgb(1, 2, 3)", "the colour of the style sheet");

    await fresh.goto("about:blank");
    await fresh.goto(start);
    const again = await answers("/style.css");
    equal([again.status, again.fromCache], [304, false], "the second load of a changing name");
    const hashed = await answers("/style.5f0c2a9e.css");
    equal(hashed.fromCache, true, "the second load of a name with a hash came from the cache");
    const still = await fresh.locator(".probe").evaluate((text) => getComputedStyle(text).color);
    equal(still, colour, "the colour after the second load");
}

/** Runs in the browser: loads each address until it arrives compressed. */
async function compressed(paths) {
    const codings = [];
    for (const path of paths) {
        let coding = null;
        for (let tries = 0; !coding && tries < 5000; tries++) {
            const response = await fetch(path, { cache: "no-store" });
            await response.arrayBuffer();
            coding = response.headers.get("content-encoding");
        }
        codings.push(coding);
    }
    return codings;
}

/**
 * Records the responses of a page. Returns a function that gives the last one for a path. The
 * events about the wire come from another process than the others, and often later.
 */
async function record(session) {
    const requests = new Map();
    const fresh = () => {
        const request = { fromCache: false };
        request.onWire = new Promise((resolve) => (request.wasOnWire = resolve));
        return request;
    };
    const of = (id) => requests.get(id) ?? requests.set(id, fresh()).get(id);
    session.on("Network.requestWillBeSent", ({ requestId, request }) => {
        of(requestId).path = new URL(request.url).pathname;
    });
    session.on("Network.requestServedFromCache", ({ requestId }) => {
        of(requestId).fromCache = true;
    });
    session.on("Network.responseReceived", ({ requestId, response, hasExtraInfo }) => {
        const request = of(requestId);
        request.fromCache ||= response.fromDiskCache ?? false;
        request.status ??= response.status;
        if (!hasExtraInfo) request.wasOnWire();
    });
    session.on("Network.responseReceivedExtraInfo", ({ requestId, statusCode, headers }) => {
        // The status on the wire; that of the response itself is 200 after a 304.
        Object.assign(of(requestId), { status: statusCode, coding: headers["Content-Encoding"] });
        of(requestId).wasOnWire();
    });
    await session.send("Network.enable");
    return async (wanted) => {
        const last = [...requests.values()].filter((request) => request.path === wanted).at(-1);
        if (!last.fromCache) await last.onWire;
        return last;
    };
}

async function seek(bench) {
    const page = await bench.page();
    await video.make(page, path.join(bench.home, "pages/film.webm"));
    const ranges = [];
    page.on("response", async (response) => {
        if (!response.url().endsWith("/film.webm")) return;
        const { "content-range": range } = await response.allHeaders();
        ranges.push({ status: response.status(), range });
    });
    await page.goto(bench.url("pages", "/film.html"));
    for (const second of [25, 3, 17]) {
        const expected = video.colour(second);
        const found = await page.evaluate(seekTo, { time: second + 0.5, expected });
        equal(found.duration, video.SECONDS, "the duration");
        equal(found.time, second + 0.5, "the time after seeking");
        const isClose = expected.every((value, at) => Math.abs(value - found.colour[at]) < 12);
        check(isClose, `the picture of second ${second}: ${found.colour}, expected ${expected}`);
    }
    const starts = ranges.filter(({ status }) => status === 206)
        .map(({ range }) => Number(/^bytes (\d+)-/.exec(range)[1]));
    check(starts.some((start) => start > 0), `no 206 from the middle: ${JSON.stringify(ranges)}`);
}

/**
 * Runs in the browser: seeks the film, and returns the colour of the picture that is shown then.
 * The picture can be shown some frames after the event that the film was sought.
 */
async function seekTo({ time, expected }) {
    const film = document.querySelector("video");
    const event = (name) => new Promise((done, fail) => {
        film.addEventListener(name, done, { once: true });
        film.addEventListener("error", () => fail(new Error(film.error.message)), { once: true });
    });
    if (film.error) throw new Error(film.error.message);
    if (film.readyState < HTMLMediaElement.HAVE_METADATA) await event("loadedmetadata");
    const seeked = event("seeked");
    film.currentTime = time;
    await seeked;
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("2d", { willReadFrequently: true });
    let colour = [];
    for (let frame = 0; frame < 300; frame++) {
        context.drawImage(film, 0, 0);
        [...colour] = context.getImageData(8, 8, 1, 1).data.slice(0, 3);
        if (expected.every((value, at) => Math.abs(value - colour[at]) < 12)) break;
        await new Promise((done) => requestAnimationFrame(done));
    }
    return { duration: film.duration, time: film.currentTime, colour };
}

export const STEPS = [
    { name: "follows redirects of _redirects", run: redirect },
    { name: "opens an application by a deep link", run: deepLink },
    { name: "gets style sheets compressed, then from the cache", run: cachedStyle },
    { name: "seeks in a film", run: seek },
];
