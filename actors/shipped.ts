/** The jobs that ship: what `npm start` runs. */
import cases from "./cases/cases.ts";
import meter from "./meter/meter.ts";

export default [meter, cases];
