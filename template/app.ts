/** The app: its default export is a job, or an array of jobs. A job reads one log and has one or more actors. */
import { job } from "tidemark";
import { customer } from "./actors/customer.ts";

export default job("orders", { log: "orders", actors: [customer], outOfOrderness: "10s", allowedLateness: "5m" });
