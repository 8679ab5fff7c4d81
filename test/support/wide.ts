/** Further ways to come to what other tests show already: only `npm run wide` takes the time for them. */
import { test } from "node:test";

export const wide: typeof test = process.env.TESTS === "wide" ? test : (((): Promise<void> => Promise.resolve()) as unknown as typeof test);
