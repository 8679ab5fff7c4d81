/** The text format of Prometheus (0.0.4), read strictly: anything that it does not allow throws. */
import assert from "node:assert/strict";

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly samples: readonly Sample[];
}

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/;

export function parsePrometheus(text: string): Map<string, Family> {
  assert(text.endsWith("\n"), "the last line ends");
  const families = new Map<string, Family & { readonly samples: Sample[] }>();
  let current: (Family & { readonly samples: Sample[] }) | undefined;
  let helped = "";
  for (const line of text.slice(0, -1).split("\n")) {
    if (line.startsWith("# HELP ")) {
      helped = line.split(" ")[2]!;
      assert(!families.has(helped), `${helped} stands in one place`);
    } else if (line.startsWith("# TYPE ")) {
      const [name = "", type = "", ...more] = line.slice(7).split(" ");
      assert(NAME.test(name) && more.length === 0, line);
      assert.equal(name, helped, "its help stands above");
      assert(["counter", "gauge", "histogram"].includes(type), line);
      current = { name, type: type as Family["type"], samples: [] };
      families.set(name, current);
    } else if (!line.startsWith("#")) {
      assert(current, `${line} belongs to no family`);
      const sample = parseSample(line);
      assert(belongs(sample.name, current), `${line} is not of ${current.name}`);
      current.samples.push(sample);
    }
  }
  for (const family of families.values()) check(family);
  return families;
}

function belongs(name: string, { name: family, type }: Family): boolean {
  return type === "histogram" ? [`${family}_bucket`, `${family}_sum`, `${family}_count`].includes(name) : name === family;
}

function parseSample(line: string): Sample {
  const [, name = "", labelText = "", number = ""] = SAMPLE.exec(line) ?? assert.fail(`no sample: ${line}`);
  const labels: Record<string, string> = {};
  for (let rest = labelText; rest !== ""; ) {
    const [whole, label = "", value = ""] = LABEL.exec(rest) ?? assert.fail(`no label: ${line}`);
    assert(!Object.hasOwn(labels, label), `${label} twice: ${line}`);
    labels[label] = value.replace(/\\(["\\n])/g, (_, escaped: string) => (escaped === "n" ? "\n" : escaped));
    rest = rest.slice(whole.length);
  }
  assert.match(number, /^([+-]?(\d+(\.\d+)?(e[+-]?\d+)?|Inf)|NaN)$/i, line);
  return { name, labels, value: Number(number.replace("Inf", "Infinity")) };
}

function check({ name, type, samples }: Family): void {
  const series = samples.map(({ name: sample, labels }) => `${sample} ${JSON.stringify(Object.entries(labels).sort())}`);
  assert.equal(new Set(series).size, series.length, `${name}: a series stands there twice`);
  if (type === "counter") for (const { value } of samples) assert(value >= 0, name);
  if (type !== "histogram") return;
  const groups = Map.groupBy(samples, ({ labels: { le: _le, ...labels } }) => JSON.stringify(labels));
  for (const [labels, members] of groups) {
    const buckets = members.filter((sample) => sample.name === `${name}_bucket`);
    const values = buckets.map(({ value }) => value);
    assert.deepEqual(
      values,
      [...values].sort((a, b) => a - b),
      `${name}${labels}: buckets are cumulative`,
    );
    assert.equal(buckets.at(-1)?.labels.le, "+Inf");
    assert.equal(members.find((sample) => sample.name === `${name}_count`)?.value, values.at(-1));
    assert.equal(members.filter((sample) => sample.name === `${name}_sum`).length, 1);
  }
}
