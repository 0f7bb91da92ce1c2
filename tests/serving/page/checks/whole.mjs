// What holds for all parts: policy, colours, keyboard, widths, accessibility.
import assert from "node:assert/strict";
import { accessible, fits, NARROW, WIDE } from "../browser.mjs";

const POLICY = ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'",
  "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"];

const paper = (page) => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
const LIGHT = "rgb(255, 255, 255)";

async function scored(page) {
  await page.locator("#score").getByRole("button", { name: "Score" }).click();
  await page.getByRole("table", { name: "What moves it" }).waitFor();
}

async function tried(page) {
  const operation = page.locator(".operation", { has: page.getByText("/v1/predict", { exact: true }) });
  await operation.locator("summary").click();
  await operation.getByRole("button", { name: "Send" }).click();
  await operation.getByText("Status 200").waitFor();
}

const looks = {};
for (const colorScheme of ["light", "dark"]) {
  for (const [width, viewport] of [["wide", WIDE], ["narrow", NARROW]]) {
    looks[`accessible: ${colorScheme}, ${width}`] = async ({ visit, url }) => {
      const page = await visit.open(url, "/", { viewport, colorScheme });
      await scored(page);
      await page.locator("#live-note").getByText("last 10 seconds").waitFor();
      await page.waitForTimeout(2500);
      await visit.screenshot(page, `page-${colorScheme}-${width}`);
      await fits(page);
      await accessible(page);
      const docs = await visit.open(url, "/docs", { viewport, colorScheme });
      await tried(docs);
      await visit.screenshot(docs, `docs-${colorScheme}-${width}`);
      await fits(docs);
      await accessible(docs);
    };
  }
}

export const whole = {
  "the policy lets nothing in from elsewhere": async ({ visit, url }) => {
    for (const path of ["/", "/docs"]) {
      const policy = (await fetch(url + path)).headers.get("content-security-policy") ?? "";
      for (const part of POLICY) assert.ok(policy.includes(part), `${part} in ${path}: ${policy}`);
    }
    const page = await visit.open(url);
    await page.getByRole("heading", { level: 1, name: "clicks" }).waitFor();
    const places = await page.evaluate(() => performance.getEntriesByType("resource").map(({ name }) => name));
    assert.ok(places.length > 5);
    assert.deepEqual(places.filter((place) => !place.startsWith(url) && !place.startsWith("data:")), []);
    assert.equal(await page.locator("[style], style, script:not([src])").count(), 0);
  },

  "colours follow the system until one is chosen, which stays": async ({ visit, url }) => {
    const page = await visit.open(url, "/", { colorScheme: "dark" });
    assert.notEqual(await paper(page), LIGHT);
    await page.getByLabel("Colours").selectOption("light");
    assert.equal(await paper(page), LIGHT);
    await page.reload();
    assert.equal(await paper(page), LIGHT);
    assert.equal(await page.getByLabel("Colours").inputValue(), "light");
    await page.goto(`${url}/docs`);
    assert.equal(await paper(page), LIGHT);
    await page.getByLabel("Colours").selectOption("system");
    assert.notEqual(await paper(page), LIGHT);
  },

  "the keyboard is enough": async ({ visit, url }) => {
    const page = await visit.open(url);
    await page.locator("#score-fields input").first().waitFor();
    const focused = () => page.evaluate(() => {
      const { id, tagName, textContent } = document.activeElement;
      const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement);
      const outlined = outlineStyle !== "none" && parseFloat(outlineWidth) > 0;
      return { id, tagName, text: textContent.trim(), outlined };
    });
    const met = [];
    const until = async (wanted) => {
      for (let presses = 0; presses < 80; presses += 1) {
        await page.keyboard.press("Tab");
        const now = await focused();
        assert.ok(now.outlined, `no visible focus on ${JSON.stringify(now)}`);
        met.push(now.id || now.text);
        if (wanted(now)) return;
      }
      assert.fail(`never reached; met ${met.join(", ")}`);
    };
    await page.keyboard.press("Tab");
    assert.equal((await focused()).text, "Skip to the content");
    await page.keyboard.press("Enter");
    await until(({ id }) => id === "score-1");
    await page.keyboard.press("Control+a");
    await page.keyboard.type("12.5");
    await page.keyboard.press("Enter");
    await page.getByRole("table", { name: "What moves it" }).waitFor();
    await until(({ id }) => id === "live-pause");
    await page.keyboard.press("Space");
    assert.equal(await page.locator("#live-pause").getAttribute("aria-pressed"), "true");
    await until(({ id }) => id === "metrics-link");
  },

  "labels name all fields": async ({ visit, url }) => {
    for (const path of ["/", "/docs"]) {
      const page = await visit.open(url, path);
      await page.waitForTimeout(500);
      const unnamed = await page.locator("input, select, textarea").evaluateAll((all) =>
        all.filter((field) => field.labels.length === 0).map(({ outerHTML }) => outerHTML));
      assert.deepEqual(unnamed, []);
    }
  },

  "it fits at 360 pixels, and at a zoom of 200 per cent": async ({ visit, url }) => {
    for (const viewport of [NARROW, { width: 640, height: 450 }]) {
      for (const model of ["clicks", "ratings"]) {
        const page = await visit.open(url, `/?model=${model}`, { viewport });
        await scored(page);
        await fits(page);
      }
    }
  },

  "nothing moves for who asked for less motion": async ({ visit, url }) => {
    const page = await visit.open(url);
    const behaviour = () => page.evaluate(() => getComputedStyle(document.documentElement).scrollBehavior);
    assert.equal(await behaviour(), "auto");
    await page.emulateMedia({ reducedMotion: "no-preference" });
    assert.equal(await behaviour(), "smooth");
  },

  ...looks,
};
