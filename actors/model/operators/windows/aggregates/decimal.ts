/**
 * Exact sums of decimal numbers. A number of JSON stands for its shortest decimal text, as 12.34; sums keep whole units
 * of 10^-scale, so that 0.1 + 0.2 is 0.3, whatever the order. The scale is the largest of all that was added; the
 * units are a number while they are a safe integer, else their digits. So equal sums of the same numbers have equal
 * bytes, in whatever order and in how many parts they were made.
 */
import { Type } from "typebox";
import { HandlerError } from "../../../handler-error.ts";

export interface Decimal {
  readonly units: number | string;
  readonly scale: number;
}

export const DecimalSchema = Type.Object({ units: Type.Union([Type.Integer(), Type.String()]), scale: Type.Integer() });

export const ZERO: Decimal = { units: 0, scale: 0 };

const POWERS = Array.from({ length: 23 }, (_, i) => 10 ** i);
/** Up to here a scale is tried by arithmetic; beyond, digits are read from the number's text. */
const QUICK_SCALE_MAX = 9;
const TEXT = /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]\d+))?$/;

/** Throws HandlerError NOT_A_NUMBER for what is no finite number. */
export function decimalOf(value: number, path: string): Decimal {
  if (typeof value !== "number" || !Number.isFinite(value))
    throw new HandlerError(
      "NOT_A_NUMBER",
      `${path}: ${String(value)} cannot be summed. Give a finite number, or undefined to leave it out.`,
    );
  for (let scale = 0; scale <= QUICK_SCALE_MAX; scale++) {
    const units = Math.round(value * POWERS[scale]!);
    if (!Number.isSafeInteger(units)) break;
    if (units / POWERS[scale]! === value) return { units: units === 0 ? 0 : units, scale };
  }
  const [, sign, whole, fraction = "", exponent = "0"] = TEXT.exec(String(value))!;
  const scale = fraction.length - Number(exponent);
  const digits = BigInt(`${sign}${whole}${fraction}`) * 10n ** BigInt(Math.max(0, -scale));
  return kept(digits, Math.max(0, scale));
}

export function addDecimals(a: Decimal, b: Decimal): Decimal {
  const scale = Math.max(a.scale, b.scale);
  if (typeof a.units === "number" && typeof b.units === "number" && scale < POWERS.length) {
    const units = a.units * POWERS[scale - a.scale]! + b.units * POWERS[scale - b.scale]!;
    // Products and sum are exact while the result is safe and neither part is out of range.
    if (Number.isSafeInteger(units) && isScaled(a, scale) && isScaled(b, scale)) return { units: units === 0 ? 0 : units, scale };
  }
  return kept(scaled(a, scale) + scaled(b, scale), scale);
}

/** The nearest number. */
export function decimalValue({ units, scale }: Decimal): number {
  if (typeof units === "number" && scale < POWERS.length) return units / POWERS[scale]!;
  return Number(`${units}e-${scale}`);
}

/** The number nearest to a / b, where both are of a usual size; else the quotient of their nearest numbers. */
export function quotient(a: Decimal, b: Decimal): number {
  if (typeof a.units === "number" && typeof b.units === "number" && a.scale < POWERS.length && b.scale < POWERS.length) {
    const over = a.units * POWERS[Math.max(0, b.scale - a.scale)]!;
    const under = b.units * POWERS[Math.max(0, a.scale - b.scale)]!;
    // Of two whole numbers that are exact a division rounds once.
    if (Number.isSafeInteger(over) && Number.isSafeInteger(under)) return over / under;
  }
  return decimalValue(a) / decimalValue(b);
}

function isScaled({ units, scale }: Decimal, to: number): boolean {
  return Math.abs(units as number) * POWERS[to - scale]! <= Number.MAX_SAFE_INTEGER;
}

function scaled({ units, scale }: Decimal, to: number): bigint {
  return BigInt(units) * 10n ** BigInt(to - scale);
}

function kept(digits: bigint, scale: number): Decimal {
  const units = Number(digits);
  return { units: Number.isSafeInteger(units) ? units : String(digits), scale };
}
