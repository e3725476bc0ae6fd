// Makes a WebM film: one picture a second, each of its own colour.
//
// The pictures come from the browser as lossy WebP, whose content is a key frame of VP8. Before
// each picture are 2 MiB of nothing, so that a browser does not load the whole film before it seeks.

import fs from "node:fs";

export const SECONDS = 30;
const SIDE = 64;
const PADDING_BYTES = 2 << 20;

/** The colour of a second, as red, green and blue. */
export const colour = (second) => [(second * 8) & 255, 255 - second * 8, (second % 4) * 80];

/** Writes the film. `page` is a page that can run scripts. */
export async function make(page, file) {
    const colours = Array.from({ length: SECONDS }, (_, second) => colour(second));
    const pictures = await page.evaluate(draw, { colours, side: SIDE });
    const frames = pictures.map((url) => keyFrame(Buffer.from(url.split(",")[1], "base64")));
    write(file, frames);
}

/** Runs in the browser: pictures of one colour each, as data URLs. */
function draw({ colours, side }) {
    const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
    const context = canvas.getContext("2d", { alpha: false });
    return colours.map((rgb) => {
        context.fillStyle = `rgb(${rgb})`;
        context.fillRect(0, 0, side, side);
        return canvas.toDataURL("image/webp", 0.9);
    });
}

/** The VP8 chunk of a WebP file (RFC 9649). */
function keyFrame(webp) {
    for (let at = 12; at < webp.length;) {
        const size = webp.readUInt32LE(at + 4);
        const name = webp.toString("latin1", at, at + 4);
        if (name === "VP8 ") return webp.subarray(at + 8, at + 8 + size);
        at += 8 + size + (size & 1);
    }
    throw new Error("the browser made no lossy WebP");
}

/** Writes the elements in this order: header, info, track, cues, clusters with padding. */
function write(file, frames) {
    const info = element("1549a966", [
        element("2ad7b1", number(1_000_000)), // ns per tick
        element("4489", double(SECONDS * 1000)),
        element("4d80", Buffer.from("test")),
        element("5741", Buffer.from("test")),
    ]);
    const track = element("1654ae6b", element("ae", [
        element("d7", number(1)),
        element("73c5", number(1)),
        element("83", number(1)),
        element("86", Buffer.from("V_VP8")),
        element("e0", [element("b0", number(SIDE)), element("ba", number(SIDE))]),
    ]));
    const clusters = frames.map((frame, second) => element("1f43b675", [
        element("e7", number(second * 1000, 4)),
        // A SimpleBlock of track 1: a key frame, at the time of the cluster.
        element("a3", [Buffer.from([0x81, 0, 0, 0x80]), frame]),
    ]));
    const padding = head("ec", PADDING_BYTES); // Void; its content is a hole in the file
    const room = padding.length + PADDING_BYTES;
    const cues = (start) => {
        let at = start;
        return element("1c53bb6b", clusters.map((cluster, second) => {
            at += room;
            const position = element("b7", [
                element("f7", number(1)),
                element("f1", number(at, 8)),
            ]);
            at += cluster.length;
            return element("bb", [element("b3", number(second * 1000, 4)), position]);
        }));
    };
    const before = [info, track];
    const start = info.length + track.length + cues(0).length;
    before.push(cues(start));
    const total = start + clusters.reduce((sum, { length }) => sum + room + length, 0);
    const header = element("1a45dfa3", [
        element("4282", Buffer.from("webm")),
        element("4287", number(2)),
        element("4285", number(2)),
    ]);
    const target = fs.openSync(file, "w");
    let at = 0;
    const put = (part) => { fs.writeSync(target, part, 0, part.length, at); at += part.length; };
    [header, head("18538067", total), ...before].forEach(put);
    for (const cluster of clusters) {
        put(padding);
        at += PADDING_BYTES;
        put(cluster);
    }
    fs.closeSync(target);
}

/** The identifier and the length of an EBML element (RFC 8794). */
function head(id, length) {
    const size = number(length, 8);
    size[0] = 0x01;
    return Buffer.concat([Buffer.from(id, "hex"), size]);
}

function element(id, content) {
    const body = Buffer.concat([content].flat());
    return Buffer.concat([head(id, body.length), body]);
}

function number(value, bytes = 8) {
    const buffer = Buffer.alloc(8);
    buffer.writeBigUInt64BE(BigInt(value));
    return buffer.subarray(8 - bytes);
}

function double(value) {
    const buffer = Buffer.alloc(8);
    buffer.writeDoubleBE(value);
    return buffer;
}
