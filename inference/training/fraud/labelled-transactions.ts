/** Customers with their purchases, honest and not, as rows of features with labels. The same options always give the same rows. */
import { DAY_MS, HOUR_MS } from "../../../actors/model/time.ts";
import { FRAUD_FEATURES } from "../../../actors/transactions/fraud-features.ts";
import { Noise } from "../noise.ts";
import { type Rows, rowsOf } from "../rows.ts";
import { cardholder, honestPurchases, type Purchase, staysOf } from "./cardholder.ts";
import { drawnPattern, type FraudPattern, theft } from "./fraud-patterns.ts";
import { replayed } from "./replayed-customer.ts";

export interface LabelledOptions {
  readonly seed: number;
  readonly customers: number;
  readonly days: number;
}

export interface LabelledRows {
  readonly rows: Rows;
  /** 1 for fraud. */
  readonly labels: Uint8Array;
  /** As it comes from the complaints of customers: some fraud is never reported, some purchases are disputed for nothing. */
  readonly reported: Uint8Array;
  readonly patterns: readonly (FraudPattern | undefined)[];
}

const START = Date.UTC(2026, 0, 5);
/** Of the customers, those whose card is stolen in the time. */
const STOLEN_SHARE = 0.5;
const UNREPORTED_SHARE = 0.05;
const DISPUTED_SHARE = 0.0005;

interface Told extends Purchase {
  readonly pattern: FraudPattern | undefined;
}

export function labelledTransactions({ seed, customers, days }: LabelledOptions): LabelledRows {
  const features: number[][] = [];
  const labels: number[] = [];
  const reported: number[] = [];
  const patterns: (FraudPattern | undefined)[] = [];
  for (let index = 0; index < customers; index++) {
    const noise = new Noise(Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(index + 1, 0x85ebca6b));
    const holder = cardholder(index, START, noise);
    const told = purchasesOf(holder, days, noise);
    let i = 0;
    for (const row of replayed(holder, told)) {
      const { isFraud, pattern } = told[i++]!;
      features.push(row);
      labels.push(isFraud ? 1 : 0);
      reported.push(isFraud ? (noise.uniform() < UNREPORTED_SHARE ? 0 : 1) : noise.uniform() < DISPUTED_SHARE ? 1 : 0);
      patterns.push(pattern);
    }
  }
  return { rows: rowsOf(features, FRAUD_FEATURES.length), labels: Uint8Array.from(labels), reported: Uint8Array.from(reported), patterns };
}

function purchasesOf(holder: ReturnType<typeof cardholder>, days: number, noise: Noise): Told[] {
  const stays = staysOf(holder, START, days, noise);
  const honest = honestPurchases(holder, stays, START, days, noise).sort((a, b) => a.time - b.time);
  const told: Told[] = honest.map((purchase) => ({ ...purchase, pattern: undefined }));
  if (noise.uniform() < STOLEN_SHARE) {
    const pattern = drawnPattern(noise);
    const at = START + noise.within(1, days) * DAY_MS + noise.within(0, 24) * HOUR_MS;
    told.push(...theft(pattern, { holder, stays, honest, at, noise }).map((purchase) => ({ ...purchase, pattern })));
  }
  return told.map((one) => ({ ...one, time: Math.floor(one.time) })).sort((a, b) => a.time - b.time);
}
