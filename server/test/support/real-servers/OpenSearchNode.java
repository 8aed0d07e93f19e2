import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.opensearch.common.settings.Settings;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.plugins.Plugin;

/** One real OpenSearch node from jars on the class path. Arguments: home, configuration directory, plugin classes. */
public class OpenSearchNode extends Node {
  OpenSearchNode(Path home, Path config, List<Class<? extends Plugin>> plugins) {
    super(
        InternalSettingsPreparer.prepareEnvironment(
            Settings.builder().put("path.home", home).build(), Map.of(), config, () -> "node"),
        plugins,
        true);
  }

  public static void main(String[] arguments) throws Exception {
    List<Class<? extends Plugin>> plugins = new ArrayList<>();
    for (int each = 2; each < arguments.length; each++) {
      plugins.add(Class.forName(arguments[each]).asSubclass(Plugin.class));
    }
    new OpenSearchNode(Path.of(arguments[0]), Path.of(arguments[1]), plugins).start();
    Thread.currentThread().join();
  }
}
