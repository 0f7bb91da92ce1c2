// Servers that answer only who has a key.
import assert from "node:assert/strict";

const KEY = "a-key-of-the-tests";

export const keys = {
  "the page asks for the key once, keeps it in this tab and sends it": async ({ visit, house }) => {
    visit.expect(401);
    const url = await house.serve("runs/ratings", "--keys", house.write("keys", `${KEY}\n`));
    const page = await visit.open(url);
    const dialog = page.getByRole("dialog", { name: "Key" });
    await dialog.getByLabel("API key").fill("another");
    await visit.screenshot(page, "key");
    await dialog.getByRole("button", { name: "Use this key" }).click();
    await dialog.getByText("does not know this key").waitFor();
    await dialog.getByLabel("API key").fill(KEY);
    await dialog.getByLabel("API key").press("Enter");
    await page.getByRole("heading", { level: 1, name: "ratings" }).waitFor();
    await page.locator("#score").getByRole("button", { name: "Score" }).click();
    await page.locator("#score-result .big").waitFor();
    assert.match(await page.locator("#score-curl").innerText(), /Authorization: Bearer \$DLRM_KEY/);
    assert.match(await page.locator("#score-python").innerText(), /DLRM_KEY/);
    assert.ok(!(await page.content()).includes(KEY), "the key is shown");
    assert.ok(!page.url().includes(KEY));
    assert.deepEqual(await page.evaluate(() => Object.values(localStorage)), []);
    const [metrics] = await Promise.all([
      page.waitForEvent("download"), page.getByRole("link", { name: "Metrics for Prometheus" }).click(),
    ]);
    assert.equal(metrics.suggestedFilename(), "metrics.txt");
    const [report] = await Promise.all([
      page.waitForEvent("download"), page.getByRole("link", { name: "Training report" }).click(),
    ]);
    assert.equal(report.suggestedFilename(), "report.html");
    await page.reload();
    await page.getByRole("heading", { level: 1, name: "ratings" }).waitFor();
    await page.getByRole("link", { name: "API documentation" }).click();
    await page.locator(".operation").first().waitFor();
  },

  "who has no key is told, and nothing is asked again": async ({ visit, house }) => {
    visit.expect(401);
    const page = await visit.open(await house.serve("runs/ratings", "--keys", house.write("keys", `${KEY}\n`)));
    await page.getByRole("dialog", { name: "Key" }).getByRole("button", { name: "Cancel" }).click();
    await page.locator("#problem").getByText("The server wants a key").waitFor();
    await page.waitForTimeout(6000);
    assert.equal(await page.getByRole("dialog").count(), 0);
  },
};
