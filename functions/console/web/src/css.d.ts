declare module '*.css' {
  /** The style sheet, minified. */
  const text: string;
  export default text;
}
