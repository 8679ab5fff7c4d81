/**
 * The pages of the documentation and their code blocks.
 *
 * A block's first line may name its file (`// carts.ts`). What a test cannot run has its reason just above, in a
 * comment that no reader of the page sees: `<!-- not run: reason -->`, or `<!-- not run from here: reason -->` for
 * every block down to the page's end.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

export interface Block {
  /** Path from the repository's root. */
  readonly page: string;
  /** Of its fence, from 1. */
  readonly line: number;
  /** Empty where the fence names none. */
  readonly language: string;
  readonly name: string | undefined;
  /** Without the line that names the file. */
  readonly text: string;
  /** The heading above it. */
  readonly heading: string;
  /** Why no test runs it. */
  readonly notRun: string | undefined;
}

/** Every page of `docs/`, the README, and those of the jobs that ship. */
export function docPages(): string[] {
  const under = (folder: string) =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" })
      .filter((name) => name.endsWith(".md"))
      .map((name) => join(folder, name));
  return ["README.md", ...under("docs"), ...under("actors")].sort();
}

export function readPage(page: string): string {
  return readFileSync(join(ROOT, page), "utf8");
}

/** Throws for a block that is not closed. */
export function blocksOf(page: string, text = readPage(page)): Block[] {
  const blocks: Block[] = [];
  const lines = text.split("\n");
  let heading = "";
  let above: string | undefined;
  let fromHere: string | undefined;
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]!;
    const marker = /^<!-- not run( from here)?: (.+) -->$/.exec(line);
    if (marker?.[1] !== undefined) fromHere = marker[2];
    else if (marker !== null) above = marker[2];
    const title = /^#+ (.*)$/.exec(line);
    if (title !== null) heading = title[1]!;
    const fence = /^\s*```(\S*)/.exec(line);
    if (fence !== null) {
      const end = lines.findIndex((other, at) => at > i && /^\s*```\s*$/.test(other));
      if (end === -1) throw new Error(`${page}:${i + 1}: the block is not closed`);
      const name = /^\/\/ (\S+\.\w+)$/.exec(lines[i + 1]!)?.[1];
      const body = lines.slice(name === undefined ? i + 1 : i + 2, end);
      blocks.push({ page, line: i + 1, language: fence[1]!, name, text: `${body.join("\n")}\n`, heading, notRun: above ?? fromHere });
      i = end;
    }
    if (line !== "" && marker === null) above = undefined;
  }
  return blocks;
}

/** Of a fault in a block: where it stands. */
export function placeOf({ page, line }: Block): string {
  return `${page}:${line}`;
}

/** `docs/first-actor.md` as a folder's name. */
export function folderName(page: string): string {
  return page.slice(0, -".md".length).replaceAll("/", "-");
}
