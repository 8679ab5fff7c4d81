import { OPERATOR_JOBS } from "./operators.ts";

export default OPERATOR_JOBS["tumbling 5m"]!;
