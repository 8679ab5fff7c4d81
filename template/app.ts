/** The app: its default export is a job, or an array of jobs. A job reads one log and has one or more actors. */
import { job } from "tidemark";
import { customer } from "./actors/customer.ts";

export default job("orders", {
  log: "orders",
  actors: [customer],
  // How far orders may come out of order, and how late they may be for the others that have come.
  outOfOrderness: "10s",
  allowedLateness: "5m",
  // Time is that of the orders alone. With "advance", the default, it follows the clock while no order comes.
  idle: "hold",
});
