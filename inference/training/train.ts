/**
 * Trains the models that ship and writes them down: `npm run train`, or `npm run train -- fraud` for one. With `--check`
 * nothing is written: it says whether what there is is what training gives, byte for byte, and ends with 1 where not.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { SHIPPED_MODELS, type ShippedModel } from "./shipped-models.ts";
import { declarationText, type TrainedModel, withFigures } from "./trained-model.ts";

const { values, positionals } = parseArgs({ options: { check: { type: "boolean", default: false } }, allowPositionals: true });
const names = SHIPPED_MODELS.map(({ name }) => name);
const stranger = positionals.find((name) => !names.includes(name));
if (stranger !== undefined) {
  process.stderr.write(`There is no model ${stranger}. Take one of: ${names.join(", ")}.\n`);
  process.exitCode = 1;
} else {
  for (const shipped of SHIPPED_MODELS.filter(({ name }) => positionals.length === 0 || positionals.includes(name))) trainOne(shipped);
}

function trainOne(shipped: ShippedModel): void {
  const began = performance.now();
  const trained = shipped.train();
  process.stdout.write(
    `${shipped.name}: trained in ${((performance.now() - began) / 1_000).toFixed(1)} s, ${trained.content.length} bytes\n`,
  );
  const files = filesOf(shipped, trained);
  for (const [name, content] of Object.entries(files)) {
    const path = fileURLToPath(new URL(name, shipped.folder));
    const isSame = existsSync(path) && readFileSync(path).equals(Buffer.from(content));
    if (isSame) process.stdout.write(`  the same: ${path}\n`);
    else if (values.check) {
      process.stdout.write(`  differs: ${path}. Run npm run train and commit what it writes, or undo what changed it.\n`);
      process.exitCode = 1;
    } else {
      writeFileSync(path, content);
      process.stdout.write(`  written: ${path}\n`);
    }
  }
}

function filesOf({ name, folder }: ShippedModel, trained: TrainedModel): Record<string, Uint8Array | string> {
  mkdirSync(folder, { recursive: true });
  const card = readFileSync(new URL("README.md", folder), "utf8");
  return {
    [`${name}.onnx`]: trained.content,
    [`${name}.json`]: declarationText(trained.declaration),
    "README.md": withFigures(card, trained),
  };
}
