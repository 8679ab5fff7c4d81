/** The clocks of a shard: event time goes by the watermark, processing time by the greatest log timestamp seen. */
export type Clock = "event" | "processing";
