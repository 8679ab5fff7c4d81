/**
 * An app in a folder of its own that a test edits while `tidemark dev` runs it: one job that counts hits by key, and says with
 * each output which edit of its code made it.
 */
import { renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

export interface Counted {
  readonly n: number;
  readonly count: number;
  /** The edit whose code counted it. */
  readonly edit: number;
}

export interface AppText {
  readonly edit: number;
  /** Default `counts`, on the log `hits`. */
  readonly job?: string;
  readonly log?: string;
  readonly version?: number;
  /** Declarations of cells beside the count. */
  readonly cells?: string;
  /** Another job, on the same log. */
  readonly extraJob?: boolean;
  /** Statement at the head of the handler. */
  readonly handler?: string;
}

export class DevApp {
  readonly folder: string;
  readonly path: string;

  constructor(folder: string) {
    this.folder = folder;
    this.path = join(this.folder, "app.ts");
    symlinkSync(join(ROOT, "node_modules"), join(this.folder, "node_modules"));
  }

  /** Writes the app whole. Two files: where one change is meant, `edit` stays as it was. */
  write(text: AppText): void {
    this.save("edit.ts", `export const EDIT: number = ${text.edit};\n`);
    this.save("app.ts", appText(text));
  }

  /** Saves one file as editors do: a new file renamed over the old one. */
  save(name: string, text: string): void {
    const file = join(this.folder, name);
    writeFileSync(`${file}~`, text);
    renameSync(`${file}~`, file);
  }

  /** The one constant of the code, and with it the code. */
  edit(edit: number): void {
    this.save("edit.ts", `export const EDIT: number = ${edit};\n`);
  }
}

function appText({ job = "counts", log = "hits", version = 1, cells = "", extraJob = false, handler = "" }: AppText): string {
  const model = (path: string) => JSON.stringify(join(ROOT, "actors", "model", path));
  return `
import { Type } from "typebox";
import { actor } from ${model("actor.ts")};
import { value } from ${model("cells/value.ts")};
import { job } from ${model("job.ts")};
import { output, stream } from ${model("stream.ts")};
import { EDIT } from "./edit.ts";

const Hit = Type.Object({ n: Type.Integer() });
const Counted = Type.Object({ n: Type.Integer(), count: Type.Integer(), edit: Type.Integer() });
const counting = (name: string) => actor(name, {
  version: ${version},
  in: { hit: stream("hit", { schema: Hit }) },
  out: { counted: output("counted", { schema: Counted }) },
  state: { count: value(Type.Integer(), 0), ${cells} },
  on: {
    hit(ctx, { n }) {
      ${handler}
      ctx.state.count.update((count) => count + 1);
      ctx.out.counted({ n, count: ctx.state.count.get(), edit: EDIT });
    },
  },
});
const options = { log: "${log}", outOfOrderness: 0, idle: "hold" } as const;
export default [
  job("${job}", { ...options, actors: [counting("counter")] }),
  ${extraJob ? `job("${job}-too", { ...options, actors: [counting("second")] }),` : ""}
];
`;
}
