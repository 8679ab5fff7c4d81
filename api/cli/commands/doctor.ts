/** `tidemark doctor`: what is wrong here, and how to mend it. */
import { type Config, readConfig } from "../../../runtime/node/config.ts";
import type { Check } from "../doctor/check.ts";
import { command } from "../framework/command.ts";
import { printable } from "../terminal/printable.ts";
import type { Colour, Terminal } from "../terminal/terminal.ts";

const COLOURS: Readonly<Record<Check["status"], Colour>> = { ok: "green", warn: "yellow", fail: "red" };

export const doctor = command({
  name: "doctor",
  summary: "Checks this machine, the NATS server and the node, and says how to mend what is wrong",
  details: [
    "It looks at Node's version, the data directory and its disk, files of tokens, the NATS servers (version, clock, flushing and disk of each, max_payload, JetStream and the account's limits, what the user may do, account mappings, replicas, limits and fill of the streams), the API and its clock. It changes nothing. It ends with 1 when a check failed; a warning is no failure.",
    "The servers are those of TIDEMARK_NATS_URL, else the one that `tidemark start` runs on the data directory.",
  ],
  arguments: {},
  options: {},
  examples: [{ line: "tidemark doctor", says: "One line for each check, and below it how to mend it" }],
  async run({ api, env, terminal, tokenFile }) {
    const config = readConfig(env);
    const { checkNode, checkDataDir, checkSecretFile } = await import("../doctor/machine-checks.ts");
    const checks: Check[] = [];
    const tell = async (found: readonly Check[]): Promise<void> => {
      for (const check of found) await write(terminal, check);
      checks.push(...found);
    };
    await tell([checkNode(process.versions.node), ...checkDataDir(config.dataDir)]);
    if (tokenFile !== undefined) await tell([checkSecretFile("token file", tokenFile, "tokens")]);
    if (config.apiTokens !== undefined) await tell([checkSecretFile("API tokens", config.apiTokens, "hashes")]);
    await tell(await natsChecks(config));
    const { checkApi } = await import("../doctor/api-checks.ts");
    await tell(await checkApi(api()));
    const failed = checks.filter(({ status }) => status === "fail").length;
    if (!terminal.json) {
      const warned = checks.filter(({ status }) => status === "warn").length;
      await terminal.line(`\n${checks.length} checks, ${failed} failed, ${warned} with a warning`);
    }
    return failed === 0 ? 0 : 1;
  },
});

async function natsChecks(config: Config): Promise<readonly Check[]> {
  const { checkNats, checkBinary } = await import("../doctor/nats-checks.ts");
  const { foundNatsAccess } = await import("../../../runtime/node/nats-access.ts");
  const nats = foundNatsAccess(config);
  return nats === undefined ? [checkBinary()] : await checkNats(nats, config);
}

async function write(terminal: Terminal, check: Check): Promise<void> {
  if (terminal.json) return await terminal.record(check);
  const { status, found, mend } = check;
  await terminal.line(`${terminal.paint(COLOURS[status], status.padEnd(4))}  ${printable(check.check)}: ${printable(found)}`);
  if (mend !== undefined) await terminal.line(`      ${printable(mend)}`);
}
