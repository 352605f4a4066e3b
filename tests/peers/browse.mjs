// Opens each URL with Puppeteer in a Chromium that is given ARGUMENTS (JSON), among them those of
// the proxy; prints the titles and where the first one failed once standard input says that the proxy
// is gone, as JSON.
import { once } from "node:events";
import puppeteer from "puppeteer-core";

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM,
  userDataDir: process.env.PROFILE,
  args: JSON.parse(process.env.ARGUMENTS),
});
const page = await browser.newPage();
const urls = process.argv.slice(2);
const titles = [];
for (const url of urls) {
  await page.goto(url);
  titles.push(await page.title());
}
console.log(JSON.stringify(titles));
await once(process.stdin.resume(), "end");
const errors = [];
for (const url of urls) {
  await page.goto(url).then(() => errors.push("none"), (error) => errors.push(error.message));
}
console.log(JSON.stringify(errors));
await browser.close();
