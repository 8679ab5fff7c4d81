/**
 * Node 24, which runs the TypeScript sources as they are. It comes as a package of the platform and stands first on npm's PATH;
 * where there is none for this platform, the Node that runs npm serves when it is new enough.
 */
import { execFileSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { orReadOnly, report, SetupError } from "./report.mjs";

const NEEDED = 24;

/**
 * @param {string} root
 * @returns {Promise<string>} the path of the Node that the scripts will find
 */
export async function provideNode(root) {
  const names = process.platform === "win32" ? ["node.cmd", "node"] : ["node"];
  const links = names.map((name) => join(root, "node_modules", ".bin", name)).filter((link) => existsSync(link));
  const [link] = links;
  if (link !== undefined) {
    const packaged = majorOf(link);
    if (packaged !== undefined && packaged >= NEEDED) return link;
  }
  if (Number(process.versions.node.split(".")[0]) < NEEDED) throw noNode(link);
  if (link !== undefined) {
    // It cannot run here (another C library, a copied node_modules) and would still be found before the one that can.
    report.notice(`the packaged Node does not run on this machine; using Node ${process.versions.node}`);
    for (const each of links) orReadOnly(each, () => rmSync(each, { force: true }));
  }
  return process.execPath;
}

function majorOf(program) {
  try {
    const version = execFileSync(program, ["--version"], {
      encoding: "utf8",
      shell: process.platform === "win32",
      stdio: ["ignore", "pipe", "ignore"],
    });
    return Number(/^v(\d+)\./.exec(version)?.[1]);
  } catch {
    return undefined;
  }
}

function noNode(link) {
  const platform = `${process.platform}-${process.arch}`;
  const what =
    link === undefined
      ? `there is no packaged Node ${NEEDED} for ${platform}`
      : `the packaged Node ${NEEDED} does not run on this machine (${platform})`;
  return new SetupError("SETUP_NO_NODE_24", `${what}, and this is Node ${process.versions.node}.`, [
    `install Node ${NEEDED} or newer from your system's packages or a version manager, and run the command again`,
    "if optional packages were left out (`npm ci --omit=optional`), delete node_modules and run the command again",
  ]);
}
