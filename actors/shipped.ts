/** The jobs that ship: what `npm start` runs. */
import meter from "./meter/meter.ts";

export default [meter];
