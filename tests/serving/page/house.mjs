// Models trained on generated data, and the server that is given in DLRM_BIN.
import { spawn, spawnSync } from "node:child_process";
import { appendFileSync, cpSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";

const PATIENCE = 60_000;
const GENRES = ["Action", "Comedy", "Crime", "Drama", "Romance"];

/** A temporary directory with two models, `clicks` (probabilities) and `ratings` (numbers), and a table of items. */
export class House {
  constructor() {
    this.dlrm = resolve(process.env.DLRM_BIN ?? "dlrm");
    this.dir = mkdtempSync(join(tmpdir(), "dlrm-page-"));
    this.servers = [];
  }

  train() {
    this.run("demo", "--rows", "6000", "--quiet", "-o", "runs/clicks");
    writeFileSync(join(this.dir, "ratings.csv"), ratings());
    writeFileSync(join(this.dir, "items.csv"), `item_id,genres,price\n${ITEMS.join("\n")}\n`);
    writeFileSync(join(this.dir, "schema.toml"), SCHEMA);
    this.run("train", "ratings.csv", "--schema", "schema.toml", "--model", "fm", "--epochs", "2", "--quiet",
      "-o", "runs/ratings");
  }

  run(...args) {
    const ran = spawnSync(this.dlrm, args, { cwd: this.dir, encoding: "utf8" });
    if (ran.status !== 0) {
      throw new Error(`dlrm ${args.join(" ")}: exit ${ran.status}\n${ran.stderr}${ran.error ?? ""}`);
    }
    return ran.stdout;
  }

  /** Starts a server on a free port; its address. */
  async serve(...args) {
    const child = spawn(this.dlrm, ["serve", "--listen", "127.0.0.1:0", ...args], { cwd: this.dir });
    this.servers.push(child);
    let said = "";
    child.stderr.on("data", (data) => { said += data; });
    return new Promise((found, failed) => {
      const late = setTimeout(() => failed(new Error(`dlrm serve does not say where it listens\n${said}`)), PATIENCE);
      child.on("exit", (code) => failed(new Error(`dlrm serve ${args.join(" ")}: exit ${code}\n${said}`)));
      createInterface({ input: child.stdout }).on("line", (line) => {
        const url = line.match(/^http:\s+(http:\S+)/)?.[1];
        if (url === undefined) return;
        clearTimeout(late);
        found(url);
      });
    });
  }

  /** A copy of a run, to do harm to. */
  copy(from, to) {
    cpSync(join(this.dir, "runs", from), join(this.dir, "runs", to), { recursive: true });
    return `${to}=runs/${to}`;
  }

  /** Puts the model of the run `from` in the place of that of `to`. */
  replace(to, from, change = () => {}) {
    const model = join(this.dir, "runs", to, "model");
    cpSync(join(this.dir, "runs", from, "model"), `${model}.new`, { recursive: true });
    change(`${model}.new`);
    renameSync(model, `${model}.old`);
    renameSync(`${model}.new`, model);
  }

  /** Replaces the model of a run by one whose manifest is not what its checksum says. */
  damage(run) {
    this.replace(run, run, (model) => appendFileSync(join(model, "manifest.json"), "\n"));
  }

  write(name, text) {
    writeFileSync(join(this.dir, name), text);
    return name;
  }

  async close() {
    await Promise.all(this.servers.map((child) => {
      if (child.exitCode !== null) return null;
      const over = new Promise((done) => child.once("exit", done));
      child.removeAllListeners("exit");
      const ended = new Promise((done) => child.once("exit", done));
      child.kill("SIGTERM");
      return Promise.race([over, ended]);
    }));
    rmSync(this.dir, { recursive: true, force: true });
  }
}

const SCHEMA = `[label]
column = "rating"
task = "rating"

[[dense]]
name = "price"
transform = "log1p"
missing_indicator = true

[[categorical]]
name = "user_id"

[[categorical]]
name = "item_id"

[[categorical]]
name = "genres"

[categorical.multi]
separator = "|"
weight_separator = ":"
`;

/** 30 items of one genre or two. */
const ITEMS = Array.from({ length: 30 }, (_, item) => {
  const genres = new Set([GENRES[item % 5], GENRES[(item * 7 + 2) % 5]]);
  return `i${item},${[...genres].join("|")},${(item % 7) + 0.5}`;
});

/** Ratings of 40 users, each of whom likes one genre. */
function ratings() {
  let state = 1;
  const below = (bound) => {
    state = (state * 48271) % 2147483647;
    return state % bound;
  };
  const lines = ["user_id,item_id,genres,price,rating"];
  for (let row = 0; row < 2000; row += 1) {
    const [user, item] = [below(40), ITEMS[below(30)]];
    const liked = item.includes(GENRES[user % 5]) ? 4 : 2;
    lines.push(`u${user},${item},${liked + below(2)}`);
  }
  return `${lines.join("\n")}\n`;
}
