import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;

/** One Elasticsearch node until it is killed. Arguments: the home folder, then settings as key=value. */
class OneNode {
  public static void main(String[] args) throws Exception {
    var home = Path.of(args[0]).toAbsolutePath();
    var settings = Settings.builder().put("path.home", home.toString());
    for (int i = 1; i < args.length; i++) {
      var pair = args[i].split("=", 2);
      settings.put(pair[0], pair[1]);
    }
    var environment = new Environment(settings.build(), home.resolve("config"));
    // In this order, or the node's classes fail to load their loggers.
    LogConfigurator.registerErrorListener();
    LogConfigurator.configureESLogging();
    LogConfigurator.configureWithoutConfig(environment.settings());
    var modules = PluginsLoader.loadModulesBundles(environment.modulesDir(), true);
    new Node(environment, PluginsLoader.createPluginsLoader(modules, Set.of(), Map.of())).start();
    new CountDownLatch(1).await();
  }
}
