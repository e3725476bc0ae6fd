// Builds, starts and stops tenkay.

import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import path from "node:path";

import { REPOSITORY, Unusable } from "./arguments.js";

const START_MS = 30_000;
const STOP_MS = 20_000;
const LOG_BYTES = 64 * 1024;

/** Builds the program and returns its path. */
export function build() {
    const command = ["build", "--locked", "--bin", "tenkay", "--message-format=json"];
    const cargo = spawnSync("cargo", command, {
        cwd: REPOSITORY,
        encoding: "utf8",
        maxBuffer: 64 << 20,
        stdio: ["ignore", "pipe", "inherit"],
    });
    if (cargo.error || cargo.status !== 0) {
        throw new Unusable(`cargo build failed: ${cargo.error?.message ?? cargo.status}`);
    }
    const messages = cargo.stdout.trim().split("\n").map((line) => JSON.parse(line));
    const program = messages.find((message) => message.executable)?.executable;
    if (!program) throw new Unusable("cargo build made no program");
    return program;
}

/** A running server. */
export class Server {
    /** Starts the program with this configuration file, and waits until it listens. */
    static async start(program, config) {
        // The environment must not change the settings.
        const own = Object.entries(process.env).filter(([name]) => !name.startsWith("TENKAY_"));
        const child = spawn(program, ["--config", config], {
            cwd: path.dirname(config),
            env: Object.fromEntries(own),
            stdio: ["ignore", "pipe", "pipe"],
        });
        const server = new Server(child);
        try {
            [server.port, server.tlsPort, server.adminPort] = await server.#ports();
        } catch (error) {
            await server.stop();
            throw error;
        }
        return server;
    }

    constructor(child) {
        this.child = child;
        this.log = "";
        this.ended = new Promise((done) => {
            child.once("error", (error) => done(`cannot be started: ${error.message}`));
            child.once("exit", (code, signal) => done(code ?? signal));
        });
        for (const stream of [child.stdout, child.stderr]) {
            stream.setEncoding("utf8");
            stream.on("data", (text) => { this.log = (this.log + text).slice(-LOG_BYTES); });
        }
    }

    /** The ports in the lines that the program prints when it listens: HTTP, HTTPS, admin. */
    #ports() {
        return new Promise((done, fail) => {
            const give = (why) => fail(new Unusable(`tenkay ${why}\n${this.log}`));
            const timer = setTimeout(() => give(`did not listen in ${START_MS} ms`), START_MS);
            const look = () => {
                const both = / at http:\/\/127\.0\.0\.1:(\d+)\/ and https:\/\/127\.0\.0\.1:(\d+)\/$/m;
                const found = both.exec(this.log);
                const admin = / health at http:\/\/127\.0\.0\.1:(\d+)$/m.exec(this.log);
                if (!found || !admin) return;
                clearTimeout(timer);
                done([Number(found[1]), Number(found[2]), Number(admin[1])]);
            };
            this.child.stdout.on("data", look);
            this.child.stderr.on("data", look);
            this.ended.then((how) => { clearTimeout(timer); give(`ended: ${how}`); });
        });
    }

    /** The address of a site of the configuration, without a slash at the end. */
    site(name) {
        return `http://${name}.localhost:${this.port}`;
    }

    /** The same over HTTPS, with a certificate that no browser trusts. */
    secureSite(name) {
        return `https://${name}.localhost:${this.tlsPort}`;
    }

    /** The address of the admin listener, without a slash at the end. */
    get admin() {
        return `http://admin.localhost:${this.adminPort}`;
    }

    /** Shuts the server down. Returns what was wrong with its end, or null. */
    async stop() {
        let timer;
        const late = new Promise((done) => { timer = setTimeout(done, STOP_MS, "late"); });
        this.child.kill("SIGTERM");
        const how = await Promise.race([this.ended, late]);
        clearTimeout(timer);
        if (how === "late") {
            this.child.kill("SIGKILL");
            await this.ended;
            return `tenkay did not end in ${STOP_MS} ms after SIGTERM`;
        }
        return how === 0 ? null : `tenkay ended with ${how}, not 0\n${this.log}`;
    }
}

/** The path of a program that must exist. */
export function find(program) {
    const folders = program.includes("/") ? [""] : (process.env.PATH ?? "").split(":");
    for (const folder of folders) {
        const candidate = path.resolve(folder, program);
        try {
            fs.accessSync(candidate, fs.constants.X_OK);
            return candidate;
        } catch {
            // Not here.
        }
    }
    throw new Unusable(`cannot find the program ${program}`);
}
