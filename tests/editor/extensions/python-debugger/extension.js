// Starts the real debugger, of the Python that the tests name, for sessions of its type.

const vscode = require("vscode");

exports.activate = (context) => {
  context.subscriptions.push(
    vscode.debug.registerDebugAdapterDescriptorFactory("debugpy", {
      createDebugAdapterDescriptor: () =>
        new vscode.DebugAdapterExecutable(process.env.MEMLENS_DEBUGPY_PYTHON, [
          "-m",
          "debugpy.adapter",
        ]),
    }),
  );
};
