// sharp's default PNG. The same protocol as serve.py: a path a line in, a JSON line out.
import { readFile } from "node:fs/promises";
import { createInterface } from "node:readline";
import sharp from "sharp";

sharp.concurrency(1);
sharp.cache(false);
for await (const path of createInterface({ input: process.stdin })) {
  const data = await readFile(path);
  const before = process.cpuUsage();
  const png = await sharp(data, { limitInputPixels: false }).png().toBuffer();
  const used = process.cpuUsage(before);
  const seconds = (used.user + used.system) / 1e6;
  const peak = process.resourceUsage().maxRSS * 1024;
  process.stdout.write(JSON.stringify({ seconds, bytes: png.length, peak }) + "\n");
}
