/** Shows a page as soon as its script is loaded. If that fails, the text in its HTML says so. */
export async function show(page: Promise<unknown>): Promise<void> {
  try {
    await page;
  } catch (error) {
    document.querySelector('.loading')?.remove();
    document.querySelector('.failed')?.removeAttribute('hidden');
    reportError(error);
  }
}
