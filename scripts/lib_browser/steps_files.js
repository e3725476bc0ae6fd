// Steps: files with hostile names, and downloads.

import { execFile } from "node:child_process";
import fs from "node:fs";
import path from "node:path";
import { promisify } from "node:util";

import { HOSTILE, tree } from "./content.js";
import { check, equal } from "./runner.js";

/** Opens every file of the folder by its link. */
async function openHostile(bench) {
    const page = await bench.page();
    const folder = bench.url("files", "/hostile/");
    await page.goto(folder);
    const links = page.locator("tbody:last-of-type a");
    const texts = await links.allTextContents();
    equal(texts.length, HOSTILE.length, "rows");
    for (const { text, content } of HOSTILE) {
        const places = texts.flatMap((found, at) => (found === text ? [at] : []));
        equal(places.length, 1, `rows named ${JSON.stringify(text)}`);
        await links.nth(places[0]).click();
        await page.waitForURL((url) => url.href !== folder);
        const found = await page.locator("body").textContent();
        equal(found, content, `the page behind ${JSON.stringify(text)} (${page.url()})`);
        await page.goBack();
    }
    equal(await page.locator("script, img").count(), 1, "scripts and images in the listing");
}

/** Downloads a folder as a zip archive, and compares it. */
async function downloadZip(bench) {
    const page = await bench.page({ acceptDownloads: true });
    await page.goto(bench.url("files", "/bundle/"));
    const waiting = page.waitForEvent("download");
    await page.getByRole("link", { name: "zip", exact: true }).click();
    const download = await waiting;
    equal(download.suggestedFilename(), "bundle.zip", "the name of the archive");
    const file = path.join(bench.home, "bundle.zip");
    await download.saveAs(file);
    const found = await unzip(file);
    const top = path.join(bench.home, "files/bundle");
    // Paths in the archive begin with the name of the folder.
    const expected = { [Buffer.from("bundle").toString("hex")]: null };
    for (const [name, sum] of Object.entries(tree(top))) {
        expected[Buffer.from("bundle/").toString("hex") + name] = sum;
    }
    const only = (one, two) => Object.keys(one).filter((name) => one[name] !== two[name])
        .map((name) => Buffer.from(name, "hex").toString());
    equal(only(expected, found), [], "members that are missing or differ");
    equal(only(found, expected), [], "members that are not in the folder");
    check(Object.keys(found).length > HOSTILE.length, "the archive is empty");
}

/** The members of an archive as `tree` gives them; Python's module checks sizes and CRCs. */
async function unzip(file) {
    const program = `
import hashlib, json, sys, zipfile
found = {}
with zipfile.ZipFile(sys.argv[1]) as archive:
    for info in archive.infolist():
        name = info.orig_filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437")
        is_folder = name.endswith(b"/")
        content = None if is_folder else hashlib.sha256(archive.read(info)).hexdigest()
        found[name.rstrip(b"/").hex()] = content
print(json.dumps(found))
`;
    const { stdout } = await promisify(execFile)("python3", ["-c", program, file]);
    return JSON.parse(stdout);
}

/** `?download` saves a file under its own name instead of showing it. */
async function downloadFile(bench) {
    const page = await bench.page({ acceptDownloads: true });
    await page.goto(bench.url("files", "/hostile/"));
    const name = "grüße.txt";
    const href = await page.getByRole("link", { name, exact: true }).getAttribute("href");
    const waiting = page.waitForEvent("download");
    await page.evaluate((target) => { location.href = target; }, `${href}?download`);
    const download = await waiting;
    equal(download.suggestedFilename(), name, "the name of the file");
    const text = fs.readFileSync(await download.path(), "utf8");
    equal(text, HOSTILE.find((file) => file.text === name).content, "the file");
}

export const STEPS = [
    { name: "opens files with hostile names", run: openHostile },
    { name: "downloads a folder as a zip archive with every byte", run: downloadZip },
    { name: "downloads a file under its name", run: downloadFile },
];
