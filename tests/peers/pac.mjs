// Runs PAC files: for each line of JSON with a script and hosts, a line with what it says of them.
import readline from "node:readline";
import vm from "node:vm";

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { script, hosts } = JSON.parse(line);
  const find = vm.runInNewContext(`${script}\nFindProxyForURL`, {});
  console.log(JSON.stringify(hosts.map((host) => find(`http://${host}/`, host))));
}
